// SPDX-License-Identifier: MIT

// Taking blocks away from a file while devices write to them.
//
//   truncate [--no-pins] [--no-gate] [--directory DIR]
//
// The blocks of a file are pages that devices write to by direct I/O, in streams of short pins that never end. Now and
// then the file is truncated, and its blocks go to another file at once, which writes its own data there. Nothing of
// the first file may arrive in it later; and no truncate may wait for more than what was pinned when it began.
//
// With --no-pins the devices look blocks up and hold nothing: a late delivery lands in the other file's data. With
// --no-gate new pins are let in while a truncate waits: it never gets its turn.
//
// Exit code: 0 all verified, 1 data or a truncate was lost, 2 wrong usage or failed I/O, 77 this machine cannot run it.

#include <algorithm>
#include <array>
#include <chrono>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <latch>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "file.hpp"
#include "storage.hpp"
#include "stream.hpp"
#include "support/block.hpp"
#include "support/command_line.hpp"
#include "support/device.hpp"

namespace examples::truncate {
namespace {

constexpr std::size_t nr_streams = 3;
constexpr std::size_t nr_blocks = nr_streams * stream::width + 1;  // one for the slow device
constexpr std::uint64_t nr_truncates = 40;
constexpr std::uint32_t others = 1000;  // the other file's block numbers begin here

// Each busy block found is a hold that began before the truncate; or a lockless pin that has just looked a block up,
// finds out, and lets go: one for each stream and the slow device.
constexpr std::uint64_t most_waits = nr_streams * stream::most_held + 1 + nr_streams + 1;

struct report {
  std::uint64_t truncates = 0;
  std::uint64_t most_found_busy = 0;  // in one truncate
  std::chrono::steady_clock::duration longest{};
  bool starved = false;
  bool leaked = false;
  std::string fault;
};

class scene {
 public:
  scene(const source& from, bool pins, bool gated)
      : file_(storage_, nr_blocks, gated), slow_device_(from), slow_(file_, nr_blocks - 1, pins) {
    for (std::size_t i = 0; i != nr_streams; ++i)
      streams_[i] = std::make_unique<stream>(file_, i * stream::width, from, pins, patience_);
  }

  report run() {
    report so_far;
    std::array<std::jthread, nr_streams> threads;
    for (std::size_t i = 0; i != nr_streams; ++i)
      threads[i] = std::jthread{[this, i](const std::stop_token& stop) { streams_[i]->run(stop); }};
    wait_for_a_round();
    while (so_far.truncates != nr_truncates && !so_far.starved && so_far.fault.empty()) truncate_once(so_far);
    for (std::jthread& each : threads) each.request_stop();
    for (std::jthread& each : threads) each.join();
    so_far.leaked = storage_.busy();
    return so_far;
  }

  [[nodiscard]] std::uint64_t deliveries() const {
    std::uint64_t sum = 0;
    for (const auto& each : streams_) sum += each->rounds().value();
    return sum;
  }
  [[nodiscard]] const char* engine_name() const noexcept { return slow_device_.engine_name(); }

 private:
  void truncate_once(report& so_far) {
    const std::uint64_t busy_before = file_.found_busy().value();
    std::latch held{1};
    // A delivery that is slow enough for the truncate: it arrives when that has found it, or, asked to stop waiting,
    // when it has passed it by.
    std::jthread slow{[&](const std::stop_token& passed) {
      if (!slow_.take(pinref::foll::none)) std::abort();
      held.count_down();
      file_.found_busy().wait_for(busy_before + 1, passed);
      slow_.fill_by(slow_device_, 1);
      slow_.let_go();
    }};
    held.wait();

    std::vector<storage_page*> taken;
    const auto start = std::chrono::steady_clock::now();
    patience_.begin();
    const pinref::break_result result =
        pinref::break_layout(file_, file_.gate(), 0, nr_blocks - 1, [&] { taken = file_.take_away(0, nr_blocks - 1); },
                             {.stop = &patience_.over});
    patience_.end();
    so_far.longest = std::max(so_far.longest, std::chrono::steady_clock::now() - start);
    so_far.most_found_busy = std::max(so_far.most_found_busy, file_.found_busy().value() - busy_before);
    so_far.starved = result != pinref::break_result::broken || so_far.most_found_busy > most_waits;
    if (so_far.starved) return;

    ++so_far.truncates;
    for (std::uint32_t i = 0; i != taken.size(); ++i) fill(*taken[i]->content, others + i, so_far.truncates);
    slow.request_stop();
    slow.join();
    wait_for_a_round();
    for (std::uint32_t i = 0; i != taken.size() && so_far.fault.empty(); ++i)
      so_far.fault = find_fault(*taken[i]->content, others + i, so_far.truncates);
    for (storage_page* const each : taken) storage_.free(*each);
  }

  // Whatever was on its way to a block has arrived then.
  void wait_for_a_round() {
    for (const auto& each : streams_) each->rounds().wait_for(each->rounds().value() + 2);
  }

  storage storage_{3 * nr_blocks};
  file file_;
  patience patience_;
  device slow_device_;
  grip<1> slow_;
  std::array<std::unique_ptr<stream>, nr_streams> streams_;
};

int main_job(const command_line& chosen) {
  const source from{chosen.directory(), nr_blocks, 2};
  scene everything{from, !chosen.has("--no-pins"), !chosen.has("--no-gate")};
  const report found = everything.run();

  std::printf("%" PRIu64 " truncates of a file with %zu blocks, %zu streams writing to it by %s, in %s\n",
              found.truncates, nr_blocks, nr_streams, everything.engine_name(), from.file().directory().c_str());
  std::printf("  deliveries %" PRIu64 ", busy blocks in one truncate at most %" PRIu64 ", the longest took %.1f ms\n",
              everything.deliveries(), found.most_found_busy,
              std::chrono::duration<double, std::milli>(found.longest).count());
  if (!found.fault.empty()) {
    std::printf("CORRUPT: a late delivery in the other file: %s\n", found.fault.c_str());
    return corrupt;
  }
  if (found.starved) {
    std::puts("STARVED: a truncate had to wait for deliveries that began after it");
    return corrupt;
  }
  if (found.leaked) {
    std::puts("LEAKED: a block is still held");
    return corrupt;
  }
  std::printf("OK: nothing arrived late, and no truncate waited more than the %" PRIu64 " times it may\n", most_waits);
  return verified;
}

}  // namespace
}  // namespace examples::truncate

int main(int argc, char** argv) {
  const examples::command_line chosen{argc, argv, {"--no-pins", "--no-gate"}};
  return examples::run([&] { return examples::truncate::main_job(chosen); });
}
