// SPDX-License-Identifier: MIT

// Snapshots of a heap while devices write to it, as fork makes them of a process.
//
//   snapshot [--no-pins] [--directory DIR]
//
// A program writes to all pages of its heap, and devices deliver into some of them by direct I/O. Snapshots are taken
// meanwhile. Each must show what the program had written at one instant; and what a device delivers must arrive in the
// heap, wherever pages were copied. With --no-pins the devices hold pages by plain references: a page is shared with
// the snapshot, the program's next write makes a copy of it, and the device goes on writing to a page that the heap has
// no longer.
//
// Exit code: 0 all verified, 1 data was lost, 2 wrong usage or failed I/O, 77 this machine cannot run it.

#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "heap.hpp"
#include "heap_page.hpp"
#include "support/block.hpp"
#include "support/command_line.hpp"
#include "support/device.hpp"
#include "support/held_pages.hpp"
#include "users.hpp"

namespace examples::snapshot {
namespace {

constexpr std::size_t nr_pages = 64;
constexpr int nr_snapshots = 25;

/// Is it the heap at one instant? The program writes a version to all pages in order. So at any instant the pages up to
/// some point have one version and those behind it the one before. Empty if so.
std::string find_fault_of(const heap& snapshot) {
  const auto half = [&](std::size_t i) -> const block& { return snapshot.page_of(i).content->program; };
  std::string fault;
  for (std::size_t i = 0; i != nr_pages && fault.empty(); ++i) {
    const std::uint64_t newest = half(0).version;
    const std::uint64_t before = i == 0 ? newest : half(i - 1).version;
    const std::uint64_t version = half(i).version;
    fault = find_fault(half(i), i, version);  // torn?
    if (fault.empty() && version != before && (before != newest || version != newest - 1))
      fault = "page " + std::to_string(i) + " has version " + std::to_string(version) + " behind version " +
              std::to_string(before) + ", where page 0 has " + std::to_string(newest);
  }
  return fault;
}

int main_job(const command_line& chosen) {
  const keep how = chosen.has("--no-pins") ? keep::referenced : keep::pinned;
  constexpr std::uint32_t device_pages = registered_device::nr_pages + passing_device::nr_pages;
  const source from{chosen.directory(), device_pages, 3};

  // Enough for the heap, a snapshot, and the pages that devices hold besides.
  constexpr std::size_t nr_frames = 2 * nr_pages + device_pages;
  frames pages{nr_frames};
  heap parent{pages, nr_pages};
  program writer{parent};
  registered_device registered{parent, from, how};
  passing_device passing{parent, from, how};

  std::string snapshot_fault;
  {
    const std::jthread writing{[&](const std::stop_token& stop) { writer.run(stop); }};
    const std::jthread always{[&](const std::stop_token& stop) { registered.run(stop); }};
    const std::jthread shortly{[&](const std::stop_token& stop) { passing.run(stop); }};
    for (int i = 0; i != nr_snapshots && snapshot_fault.empty(); ++i) {
      const std::unique_ptr<heap> child = parent.fork();
      // What happens to the heap from now on must not show.
      writer.versions().wait_for(writer.versions().value() + 2);
      snapshot_fault = find_fault_of(*child);
    }
  }
  std::string lost = registered.finish();
  if (lost.empty()) lost = passing.fault();

  const fork_counts& counts = parent.counts();
  std::printf("%d snapshots of a heap of %zu pages, two devices writing to it by %s, in %s\n", nr_snapshots, nr_pages,
              registered.engine_name(), from.file().directory().c_str());
  std::printf("  versions written %" PRIu64 ", deliveries %" PRIu64 "\n", writer.versions().value(),
              registered.deliveries() + passing.deliveries());
  std::printf("  pages shared %" PRIu64 ", copied for the snapshot %" PRIu64 ", copied for the heap %" PRIu64 "\n",
              counts.shared, counts.copied_pinned, counts.copied_at_write);
  if (!snapshot_fault.empty()) {
    std::printf("CORRUPT: a snapshot shows no instant: %s\n", snapshot_fault.c_str());
    return corrupt;
  }
  if (!lost.empty()) {
    std::printf("CORRUPT: a delivery is not in the heap: %s\n", lost.c_str());
    return corrupt;
  }
  if (const std::size_t in_use = nr_frames - pages.nr_free(); in_use != nr_pages) {
    std::printf("LEAKED: %zu pages are in use, not %zu\n", in_use, nr_pages);
    return corrupt;
  }
  std::puts("OK: each snapshot shows one instant, and all that was delivered is in the heap");
  return verified;
}

}  // namespace
}  // namespace examples::snapshot

int main(int argc, char** argv) {
  const examples::command_line chosen{argc, argv, {"--no-pins"}};
  return examples::run([&] { return examples::snapshot::main_job(chosen); });
}
