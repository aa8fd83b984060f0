// SPDX-License-Identifier: MIT
#pragma once

// Memory that is registered with a device once, and then freed and allocated again below the registration.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "block.hpp"
#include "command_line.hpp"
#include "device.hpp"
#include "engine.hpp"
#include "freed_in_flight.hpp"

namespace examples {

/// Registers the buffers of a `Memory`, frees them, has it purged, and reads into the buffers that it gets then.
///
///     std::byte* allocate(std::size_t), void deallocate(std::byte*, std::size_t)    as for freeing_application
///     registration hold_for_device(std::byte*, std::size_t bytes)   keeps the memory, not what is allocated there
///     void purge()                                                  gives the system back what is free
///
/// A registration is by address, but the device has the pages that were there. `verified`; `corrupt` after printing the
/// verdict; `not_here` where nothing can be registered.
template <class Memory>
int run_registered(Memory& memory, const source& from) {
  constexpr std::uint32_t nr_buffers = 32;
  constexpr std::size_t size = 4 * sizeof(block);  // extents of their own: slabs are not purged
  const auto number_of = [](std::uint32_t i) { return i % delivered; };
  const auto version_of = [&from](std::uint32_t i) { return 1 + i / delivered % from.versions(); };

  std::vector<std::byte*> buffers(nr_buffers);
  for (std::uint32_t i = 0; i != nr_buffers; ++i) {
    buffers[i] = memory.allocate(size);
    for (std::size_t j = 0; j != size / sizeof(block); ++j) fill(reinterpret_cast<block*>(buffers[i])[j], own + i, j);
  }
  const auto [lowest, highest] = std::minmax_element(buffers.begin(), buffers.end());
  std::byte* const first = *lowest;
  const auto bytes = static_cast<std::size_t>(*highest - first) + size;

  // Before the device has the memory, and until it has it no more.
  [[maybe_unused]] const auto held = memory.hold_for_device(first, bytes);
  const std::unique_ptr<engine> ring = make_engine("registered", from.file().fd(), first, bytes, require_whole);
  if (!ring->registered()) {
    for (std::byte* each : buffers) memory.deallocate(each, size);
    std::puts("skipped: registered buffers: no io_uring here that registers any");
    return not_here;
  }
  for (std::byte* each : buffers) memory.deallocate(each, size);
  memory.purge();
  // Those that lie elsewhere would have to be registered first.
  const auto is_registered = [=](const std::byte* each) { return each >= first && each + size <= first + bytes; };
  std::uint32_t reads = 0;
  for (std::uint32_t i = 0; i != nr_buffers; ++i) {
    buffers[i] = memory.allocate(size);
    if (!is_registered(buffers[i])) continue;
    fill(*reinterpret_cast<block*>(buffers[i]), own, 0);
    ring->submit({direction::read, from.place(number_of(i), version_of(i)), i, buffers[i]});
    ++reads;
  }
  ring->drain();

  std::uint32_t lost = 0;
  std::string first_fault;
  for (std::uint32_t i = 0; i != nr_buffers; ++i) {
    std::string fault;
    if (is_registered(buffers[i]))
      fault = find_fault(*reinterpret_cast<const block*>(buffers[i]), number_of(i), version_of(i));
    lost += fault.empty() ? 0 : 1;
    if (first_fault.empty()) first_fault = fault;
    memory.deallocate(buffers[i], size);
  }
  std::printf("%zu KiB registered, freed, purged and allocated again, by %s\n", bytes / 1024, ring->name());
  std::printf("  read %u, of which lost %u\n", reads, lost);
  if (reads < nr_buffers / 2) throw cannot_run("the allocator did not come back to the memory that is registered");
  if (lost == 0) return verified;
  std::printf("LOST: %u of %u reads, all of which the device calls done; %s\n", lost, reads, first_fault.c_str());
  return corrupt;
}

}  // namespace examples
