// SPDX-License-Identifier: MIT

// The buffer pool of a database: hash table, clock, dirty, valid and busy in the word with the counts, reads that hold
// nothing, misses and refreshes by real direct I/O, a pool that is resized while it runs. See pool.hpp.
//
//   database_pool [--no-pins] [--no-version] [--no-pin-question] [--bump-after-unpin] [--directory DIR]
//
// Each flag leaves something out, and the program is caught with blocks that are not as written: the pins of transfers;
// the version in a read that holds nothing; in the same the question for pins; the order of a transfer's last two
// steps.
//
// Exit code: 0 all verified, 1 corruption, 2 wrong usage or failed I/O, 77 this machine cannot run it.

#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

#include "load.hpp"
#include "options.hpp"
#include "pool.hpp"
#include "support/block.hpp"
#include "support/command_line.hpp"
#include "support/direct_file.hpp"
#include "support/engine.hpp"

namespace examples::database_pool {
namespace {

constexpr std::uint32_t nr_blocks = 256, nr_frames = 96;

void row(const char* name, std::uint64_t value) {
  std::printf("  %-28s %10" PRIu64 "\n", name, value);
}

void print(const statistics& stats, const book& versions) {
  row("read without a hold", stats.instant_reads);
  row("read under a reference", stats.held_reads);
  row("updated", stats.updates);
  row("refreshed where they were", stats.refreshes);
  row("brought in", stats.brought_in);
  row("evicted", stats.evicted);
  row("written back", stats.written_back);
  row("frames that left the pool", stats.retired);
  row("not as written", versions.nr_faults());
}

/// Until each thing has happened often enough to tell something. A control goes on until it is caught.
void run_load(pool& blocks, residents& all, bool control) {
  using namespace std::chrono_literals;
  const auto give_up = std::chrono::steady_clock::now() + 30s;
  const statistics& stats = all.stats;
  const load everybody{blocks, all, nr_blocks};
  const auto enough = [&] {
    return stats.instant_reads > 20'000 && stats.refreshes > 1000 && stats.evicted > 1000 && stats.retired > 50;
  };
  const auto caught = [&] { return all.versions.nr_faults() != 0 || std::chrono::steady_clock::now() > give_up; };
  while (!enough() || (control && !caught())) std::this_thread::sleep_for(10ms);
}

int main_job(const std::string& directory, const mistakes& wrong) {
  const direct_file file{directory};
  const auto content = std::make_unique<block[]>(nr_blocks);
  for (std::uint32_t number = 0; number != nr_blocks; ++number) fill(content[number], number, 1);
  file.write({content.get(), nr_blocks}, 0);

  residents all{nr_blocks, nr_frames, wrong};
  pool blocks{all, file, wrong};
  auto disk = make_engine("uring", file.fd(), nullptr, 0,
                          [&all](const transfer& job, long result) { all.completed(job, result); });
  all.use(*disk);
  std::printf("%u blocks through %u frames, by %s\n", nr_blocks, nr_frames, disk->name());
  run_load(blocks, all, wrong.any());
  disk->drain();
  blocks.write_back_all();
  disk.reset();

  file.read({content.get(), nr_blocks}, 0);
  for (std::uint32_t number = 0; number != nr_blocks; ++number)
    all.versions.check(content[number], number, all.versions.newest(number));
  print(all.stats, all.versions);
  if (all.versions.nr_faults() != 0) {
    std::printf("CORRUPT: the first of it: %s\n", all.versions.first_fault().c_str());
    return corrupt;
  }
  if (const std::uint32_t idle = all.nr_idle(); idle != nr_frames) {
    std::printf("LEAKED: %u frames are still held\n", nr_frames - idle);
    return corrupt;
  }
  std::puts("OK: every block verified, nothing left behind");
  return verified;
}

}  // namespace
}  // namespace examples::database_pool

int main(int argc, char** argv) {
  const examples::command_line chosen{
      argc, argv, {"--no-pins", "--no-version", "--no-pin-question", "--bump-after-unpin"}};
  const examples::database_pool::mistakes wrong{.no_pins = chosen.has("--no-pins"),
                                                .no_version = chosen.has("--no-version"),
                                                .no_pin_question = chosen.has("--no-pin-question"),
                                                .bump_after_unpin = chosen.has("--bump-after-unpin")};
  return examples::run([&] { return examples::database_pool::main_job(chosen.directory(), wrong); });
}
