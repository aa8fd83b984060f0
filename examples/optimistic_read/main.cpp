// SPDX-License-Identifier: MIT

// Reads that hold nothing, beside a device that writes to the page by direct I/O.
//
//   optimistic_read [--reads N] [--no-version | --no-pin-question | --bump-after-unpin] [--directory DIR]
//
// A reader looks at the page's stamp and word, copies, and looks again. What it believes after that must be one block,
// whole: first with the reads and the device's steps in every bad order, then with readers and devices that run freely,
// until N reads were believed. The flags leave out the version, the question whether the page is pinned, or the order
// of the last two steps of a delivery; each is caught with torn blocks.
//
// Exit code: 0 all whole, 1 torn, 2 wrong usage or failed I/O, 77 this machine cannot run it.

#include <array>
#include <atomic>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <random>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "page.hpp"
#include "support/command_line.hpp"
#include "support/device.hpp"

namespace examples::optimistic_read {
namespace {

constexpr std::uint32_t nr_pages = 8, versions = 64;

/// Reads that were believed, and what was wrong with them.
class verdicts {
 public:
  void add(const reading& one) {
    believed_.fetch_add(1, std::memory_order_relaxed);
    if (const std::string fault = one.fault(); !fault.empty()) {
      const std::lock_guard guard{mutex_};
      if (torn_++ == 0) first_ = fault;
    }
  }
  [[nodiscard]] std::uint64_t believed() const { return believed_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t torn() const { return torn_; }
  [[nodiscard]] const std::string& first() const { return first_; }

 private:
  std::atomic<std::uint64_t> believed_{0};
  std::mutex mutex_;
  std::uint64_t torn_ = 0;
  std::string first_;
};

/// One thread plays both. The reader's two halves lie around some of the steps of a delivery: from before `first` to
/// after `last`.
void play(page& of, device& by, mistake wrong, std::uint32_t version, int first, int last, verdicts& seen) {
  delivery job{of, by, wrong};
  reading one{of, wrong};
  bool reads = false;
  for (int step = 0; step != 4; ++step) {
    if (step == first) {
      reads = one.begin();
      if (reads) one.first_half();
    }
    if (step == 0) job.pin();
    if (step == 1) job.write(version);
    if (step == 2) job.unpin();
    if (step == 3) job.end();
    if (step == last && reads) {
      one.second_half();
      if (one.validate()) seen.add(one);
    }
  }
}

void play_all(std::array<page, nr_pages>& pages, device& by, mistake wrong, verdicts& seen) {
  std::uint32_t version = 1;
  for (page& each : pages)
    for (int first = 0; first != 4; ++first)
      for (int last = first; last != 4; ++last) play(each, by, wrong, ++version % versions + 1, first, last, seen);
}

void read_on(const std::array<page, nr_pages>& pages, mistake wrong, unsigned seed, const std::stop_token& stop,
             std::uint64_t wanted, verdicts& seen) {
  std::minstd_rand dice{seed};
  while (!stop.stop_requested() && seen.believed() < wanted) {
    reading one{pages[dice() % nr_pages], wrong};
    if (!one.begin()) continue;
    one.first_half();
    if (dice() % 64 == 0) std::this_thread::yield();  // a reader may be stopped anywhere
    one.second_half();
    if (one.validate()) seen.add(one);
  }
}

/// Two readers, while this thread has the device write to one page after the other.
void run_freely(std::array<page, nr_pages>& pages, device& by, mistake wrong, std::uint64_t wanted, verdicts& seen,
                std::uint64_t& deliveries) {
  std::vector<std::jthread> readers;
  for (unsigned seed = 1; seed <= 2; ++seed)
    readers.emplace_back([&, seed](const std::stop_token& stop) { read_on(pages, wrong, seed, stop, wanted, seen); });
  for (std::uint32_t version = 0; seen.believed() < wanted; ++version)
    for (page& each : pages) {
      delivery job{each, by, wrong};
      job.pin();
      job.write(version % versions + 1);
      job.unpin();
      job.end();
      ++deliveries;
    }
}

int main_job(const std::string& directory, mistake wrong, std::uint64_t reads) {
  const source from{directory, nr_pages, versions};
  device by{from};
  std::array<page, nr_pages> pages;
  for (std::uint32_t i = 0; i != nr_pages; ++i) {
    pages[i].number = i;
    delivery{pages[i], by, mistake::none}.write(1);
  }

  verdicts played, run;
  std::uint64_t deliveries = 0;
  play_all(pages, by, wrong, played);
  run_freely(pages, by, wrong, reads, run, deliveries);
  std::printf("reads of pages that a device writes to, by %s\n", by.engine_name());
  std::printf("  in every order: believed %" PRIu64 ", torn %" PRIu64 "\n", played.believed(), played.torn());
  std::printf("  freely, beside %" PRIu64 " deliveries: believed %" PRIu64 ", torn %" PRIu64 "\n", deliveries,
              run.believed(), run.torn());
  if (const std::uint64_t torn = played.torn() + run.torn(); torn != 0) {
    std::printf("CORRUPT: %" PRIu64 " torn reads; %s\n", torn, (played.torn() != 0 ? played : run).first().c_str());
    return corrupt;
  }
  std::puts("OK: whatever a reader believed was whole");
  return verified;
}

}  // namespace
}  // namespace examples::optimistic_read

int main(int argc, char** argv) {
  using namespace examples;
  using optimistic_read::mistake;
  std::uint64_t reads = 100'000;
  std::vector<char*> rest{argv[0]};
  for (int i = 1; i != argc; ++i)
    if (std::string_view{argv[i]} == "--reads" && i + 1 != argc)
      reads = std::strtoull(argv[++i], nullptr, 10);
    else
      rest.push_back(argv[i]);
  const command_line chosen{
      static_cast<int>(rest.size()), rest.data(), {"--no-version", "--no-pin-question", "--bump-after-unpin"}};
  const mistake wrong = chosen.has("--no-version")         ? mistake::no_version
                        : chosen.has("--no-pin-question")  ? mistake::no_pin_question
                        : chosen.has("--bump-after-unpin") ? mistake::bump_after_unpin
                                                           : mistake::none;
  return run([&] { return optimistic_read::main_job(chosen.directory(), wrong, reads); });
}
