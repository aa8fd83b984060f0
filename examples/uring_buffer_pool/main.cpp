// SPDX-License-Identifier: MIT

// A buffer pool on real disk I/O. Frames are referenced while somebody looks at them and pinned while the kernel may
// touch them; see pool.hpp for what follows from that. Every block carries a checksum and a version, checked at every
// step.
//
//   uring_buffer_pool [--seconds N] [--size MiB] [--engine registered|uring|plain] [--directory DIR] [--no-pins]
//
// With --no-pins the same program ignores pins and is caught corrupting data. Exit code: 0 all verified, 1 corruption,
// 2 wrong usage or failed I/O, 77 this machine cannot run it.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "kernel_pins.hpp"
#include "load.hpp"
#include "options.hpp"
#include "pool.hpp"
#include "progress.hpp"
#include "statistics.hpp"
#include "support/block.hpp"
#include "support/direct_file.hpp"
#include "support/engine.hpp"

namespace {

using namespace examples;
using namespace examples::buffer_pool;

constexpr std::uint64_t chunk = 256;  // blocks in one transfer of the two passes over the whole file

void make_file(const direct_file& file, std::uint64_t nr_blocks) {
  progress bar{"making the file"};
  const auto blocks = std::make_unique<block[]>(chunk);
  for (std::uint64_t first = 0; first != nr_blocks; first += chunk) {
    for (std::uint64_t i = 0; i != chunk; ++i) fill(blocks[i], first + i, 1);
    file.write({blocks.get(), chunk}, first);
    bar.show(first + chunk, nr_blocks, "blocks");
  }
}

/// For the time asked for, and longer on a slow disk: too few reads would have been given up to tell anything.
void run(pool& blocks, std::uint64_t seconds_wanted) {
  constexpr std::uint64_t given_up_at_least = 50;
  progress bar{"running"};
  const load everybody{blocks};
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t second = 1; second <= seconds_wanted; ++second) {
    std::this_thread::sleep_until(start + std::chrono::seconds{second});
    bar.show(second, seconds_wanted, "seconds");
  }
  blocks.stats.given_up.wait_for(given_up_at_least);
}

/// Writes everything back and empties the pool; whatever stays behind is held by somebody who should not.
std::uint64_t empty_pool(pool& blocks, engine& disk) {
  disk.drain();
  for (std::uint32_t number = 0; number != blocks.nr_blocks(); ++number) (void)blocks.write_back(number);
  disk.drain();
  std::uint64_t left = 0;
  for (std::uint32_t number = 0; number != blocks.nr_blocks(); ++number) {
    const eviction result = blocks.evict(number);
    if (result != eviction::done && result != eviction::absent) ++left;
  }
  return left;
}

/// Returns how many blocks are on disk as they were last written.
std::uint64_t verify_file(const direct_file& file, pool& blocks) {
  progress bar{"verifying the file"};
  std::uint64_t good = 0;
  const auto content = std::make_unique<block[]>(chunk);
  for (std::uint32_t first = 0; first != blocks.nr_blocks(); first += chunk) {
    file.read({content.get(), chunk}, first);
    for (std::uint32_t i = 0; i != chunk; ++i) {
      const std::string fault = find_fault(content[i], first + i, blocks.version_of(first + i));
      blocks.faults.add(fault);
      good += fault.empty() ? 1 : 0;
    }
    bar.show(first + chunk, blocks.nr_blocks(), "blocks");
  }
  return good;
}

void row(const char* name, const std::string& value, const char* remark = "") {
  std::printf("  %-36s %20s  %s\n", name, value.c_str(), remark);
}
void row(const char* name, std::uint64_t value, const char* remark = "") {
  row(name, std::to_string(value), remark);
}

pinref::pin_totals operator-(pinref::pin_totals a, pinref::pin_totals b) {
  return {a.acquired - b.acquired, a.released - b.released};
}

void compare_pins(pinref::pin_totals ours, std::optional<pinref::pin_totals> kernel, std::uint64_t expected,
                  bool registered) {
  row("pins acquired, pinref", ours.acquired, "one for each transfer");
  row("pins released, pinref", ours.released);
  if (!kernel) {
    row("pins acquired, kernel", "not shown here", "it takes root, and a kernel that counts them");
    return;
  }
  row("pins acquired, kernel", kernel->acquired,
      registered ? "expected: each page of the pool once, while registered" : "expected: one for each transfer");
  if (kernel->acquired > expected)
    row("  of them of other processes", kernel->acquired - expected);
  else if (kernel->acquired < expected)
    row("  fewer than expected by", expected - kernel->acquired, "older kernels take references for O_DIRECT");
  row("pins released, kernel", kernel->released);
}

int main_job(const options& chosen) {
  frame_arena frames{chosen.mebibytes / 4 / 2};
  if (!frames.valid()) throw cannot_run("no memory for the pool");
  const std::uint64_t pool_size = frames.nr_frames() * sizeof(block);
  const std::uint64_t nr_blocks = chosen.mebibytes * 1024 * 1024 / sizeof(block);

  const direct_file file{chosen.directory};
  make_file(file, nr_blocks);

  pool blocks{frames, nr_blocks, chosen.pins};
  const pinref::pin_totals ours_before = all_pins.totals();
  const auto kernel_before = kernel_pins();
  auto disk = make_engine(chosen.engine, file.fd(), frames.data(frames.frame_at(0)), pool_size,
                          [&blocks](const transfer& job, long result) { blocks.completed(job, result); });
  blocks.use(*disk);
  const std::string engine_name = disk->name();
  const bool registered = disk->registered();

  const auto start = std::chrono::steady_clock::now();
  run(blocks, chosen.seconds);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const std::uint64_t left = empty_pool(blocks, *disk);
  disk.reset();
  const auto kernel_after = settled_kernel_pins();
  const pinref::pin_totals ours = all_pins.totals() - ours_before;
  const std::uint64_t good = verify_file(file, blocks);

  const statistics& stats = blocks.stats;
  std::printf("%" PRIu64 " MiB in %s through a pool of %" PRIu64 " MiB, %s pins, %.1f s\n", chosen.mebibytes,
              file.directory().c_str(), chosen.mebibytes / 4, chosen.pins ? "with" : "without", took.count());
  row("engine", engine_name);
  row("visits, each verified", stats.visits);
  row("updates", stats.updates);
  row("  that waited for the disk", stats.updates_waited, "pinned: being written");
  row("overwrites", stats.overwrites);
  row("blocks read", stats.reads);
  row("blocks written back", stats.writes);
  row("reads given up by their caller", stats.given_up.value());
  row("  frame kept by its pin", stats.given_up_pinned, "till the completion");
  row("evictions tried", stats.evicted + stats.refused_pinned + stats.refused_referenced + stats.refused_dirty);
  row("  done", stats.evicted);
  row("  refused: pinned", stats.refused_pinned);
  row("  refused: referenced", stats.refused_referenced);
  row("  refused: dirty", stats.refused_dirty);
  std::optional<pinref::pin_totals> kernel;
  if (kernel_before && kernel_after) kernel = *kernel_after - *kernel_before;
  const auto page_size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  compare_pins(ours, kernel, registered ? pool_size / page_size : stats.reads + stats.writes, registered);
  row("times a block was not as written", blocks.faults.count());
  row("blocks on disk as last written", good, ("of " + std::to_string(nr_blocks)).c_str());

  const std::uint64_t leaked = frames.nr_frames() - frames.nr_free();
  if (blocks.faults.count() != 0) {
    std::printf("CORRUPT: the first of it: %s\n", blocks.faults.first().c_str());
    return 1;
  }
  if (left != 0 || leaked != 0 || ours.acquired != ours.released) {
    std::printf("LEAKED: %" PRIu64 " frames\n", std::max(left, leaked));
    return 1;
  }
  std::puts("OK: every block verified, no frame and no pin left behind");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const options chosen = parse(argc, argv);
  try {
    return main_job(chosen);
  } catch (const cannot_run& reason) {
    std::printf("cannot run here: %s\n", reason.what());
    return 77;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "failed: %s\n", failure.what());
    return 2;
  }
}
