// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// registration_backend: what a registration cache asks of the library that registers memory; its budget, its counts.
///
/// A backend is a domain of libfabric, a protection domain of verbs, a ring of io_uring. It names the `handle` that a
/// registration has, a type that can be made empty, and `granule`, a power of two: ranges are rounded out to multiples
/// of it. Its functions may block and may be called by several threads at once, under no lock of the cache:
///
/// - `register_memory(first, length, access, handle)` fills in the handle; or says why not. After no_memory and
///   limit_exceeded it is asked again when something else has been deregistered. `access` are bits of its own.
/// - `deregister(handle)`: false if it cannot now. Then the memory counts as registered, and it is asked again later.
///
/// When not to use it: for registrations that pin nothing, on-demand paging say. There is nothing to keep.
///
/// Example:
///
///     struct domain {
///       using handle = fid_mr*;
///       static constexpr std::size_t granule = 4096;
///       pinref::gup_error register_memory(std::uintptr_t, std::size_t, unsigned, fid_mr*& mr) noexcept {
///         return (mr = fi_mr()) != nullptr ? pinref::gup_error::none : pinref::gup_error::no_memory;
///       }
///       bool deregister(fid_mr*& mr) noexcept { return fi_close(&mr->fid) == 0; }
///     };
///     static_assert(pinref::registration_backend<domain>);
///
/// Source: libfabric fi_mr(3), ibv_reg_mr(3), io_uring_register_buffers_update_tag(3).

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "pinref/gup/gup_result.hpp"

namespace pinref::inline v0_1 {

// clang-format off
/// The contract above.
template <class Backend>
concept registration_backend = std::default_initializable<typename Backend::handle> &&
    (std::has_single_bit(std::size_t{Backend::granule})) &&
    requires(Backend& backend, std::uintptr_t first, std::size_t length, unsigned access,
             typename Backend::handle& handle) {
  { backend.register_memory(first, length, access, handle) } noexcept -> std::same_as<gup_error>;
  { backend.deregister(handle) } noexcept -> std::same_as<bool>;
};
// clang-format on

/// How much may be registered at a time.
struct registration_budget {
  std::size_t bytes = SIZE_MAX;    ///< rounded out, as the backend is given them
  std::size_t regions = SIZE_MAX;  ///< and never more than the cache has room for
};

/// What a cache has and has done, at one instant.
struct registration_counts {
  std::size_t regions = 0;        ///< registered, or about to be
  std::size_t bytes = 0;          ///< of these
  std::uint64_t registered = 0;   ///< registrations that succeeded
  std::uint64_t failed = 0;       ///< that the backend refused
  std::uint64_t merged = 0;       ///< regions that gave way to one that overlaps them
  std::uint64_t evicted = 0;      ///< that gave way to the budget
  std::uint64_t invalidated = 0;  ///< whose memory was about to go
};

}  // namespace pinref::inline v0_1
