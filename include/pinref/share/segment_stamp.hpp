// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// segment_stamp: what a segment says of itself, and how it is judged before it is attached.
///
/// The stamp is read once, copied, and judged as a copy; where the parts of the segment are follows from the copy
/// alone. So nothing that another process writes there later leads outside of the mapping.
///
/// When not to use it: to convert a segment of another version. None is.
///
/// Example:
///
///     pinref::segment_shape shape{.places = 16, .slots = 256, .pages = 1024, .page_size = 4096};
///     const auto stamp = pinref::segment_stamp::of<pinref::shared_traits>(shape);
///     const auto error = stamp.judge<pinref::shared_traits>(size_of_file);
///     if (error != pinref::segment_error::none) return give_up(to_string(error));
///
/// Errors: `segment_error`.
/// Memory order: none; a value.
/// Progress: wait-free.
/// Source: pg_control of PostgreSQL; layout_stamp.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "pinref/share/ledger_memory.hpp"
#include "pinref/version.hpp"

namespace pinref::inline v0_1 {

/// Why a segment could not be made or attached to.
enum class segment_error : unsigned char {
  none,           ///< it could
  refused,        ///< the system refused memory or a file
  bad_shape,      ///< too many or too few members, records or pages, or pages of a size that is no size of a page
  foreign,        ///< it is no segment
  torn,           ///< it was not finished, or has been damaged
  other_version,  ///< it was made by another version of the library
  other_layout,   ///< it was made for other words, records or limits, or on another kind of machine
  too_small,      ///< it is shorter than it says
  not_sealed,     ///< somebody may cut it short
  in_use,         ///< this object has a segment already
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(segment_error error) noexcept {
  switch (error) {
    case segment_error::none:
      return "none";
    case segment_error::refused:
      return "refused";
    case segment_error::bad_shape:
      return "bad_shape";
    case segment_error::foreign:
      return "foreign";
    case segment_error::torn:
      return "torn";
    case segment_error::other_version:
      return "other_version";
    case segment_error::other_layout:
      return "other_layout";
    case segment_error::too_small:
      return "too_small";
    case segment_error::not_sealed:
      return "not_sealed";
    case segment_error::in_use:
      return "in_use";
  }
  return "unknown";
}

/// How much there is to be in a segment.
struct segment_shape {
  std::uint32_t places = 16;       ///< members at a time, up to ledger_memory::max_places
  std::uint32_t slots = 256;       ///< records of each, up to 2^20
  std::uint32_t pages = 0;         ///< up to 2^31
  std::uint32_t page_size = 4096;  ///< a power of two from 4096 on; or 0, if the pages are elsewhere
  std::uint64_t user_bytes = 0;    ///< for the host, beside the pages; up to 2^40
};

/// Where the parts are, in bytes from the beginning.
struct segment_offsets {
  std::uint64_t head;    ///< what there is but once
  std::uint64_t places;  ///< the table of members
  std::uint64_t slots;   ///< their records
  std::uint64_t pages;   ///< the descriptors
  std::uint64_t free;    ///< the list of free pages
  std::uint64_t user;    ///< the host's bytes
  std::uint64_t frames;  ///< the memory of the pages
  std::uint64_t total;   ///< the end of all
};

/// The first bytes of a segment.
struct segment_stamp {
  /// What the first member, the second, and the array of this version have.
  static constexpr std::uint64_t the_magic = 0x746e'6d67'6573'6670;
  static constexpr std::uint32_t the_version = PINREF_VERSION_MAJOR * 1'000 + PINREF_VERSION_MINOR;
  static constexpr unsigned nr_widths = 12;

  std::uint64_t magic = 0;               ///< that it is a segment
  std::uint32_t version = 0;             ///< of the library
  std::uint32_t byte_order = 0;          ///< of the machine
  std::uint32_t widths[nr_widths] = {};  ///< of the words, the records and the limits
  segment_shape shape{};                 ///< how much there is
  std::uint64_t total = 0;               ///< its bytes
  std::uint64_t checksum = 0;            ///< of everything before it

  /// The stamp of a segment of this build.
  template <class Traits>
  [[nodiscard]] static constexpr segment_stamp of(const segment_shape& shape) noexcept {
    using layout = typename Traits::layout;
    using zones = typename layout::zones;
    segment_stamp it{
        the_magic,
        the_version,
        0x0102'0304,
        {zones::bits, std::countr_zero(layout::pin_bias), zones::takers, zones::claimants, zones::host_bits,
         Traits::page_kinds, ledger_record::max_n, sizeof(ledger_head<Traits>), sizeof(ledger_place<Traits>),
         sizeof(ledger_slot<typename Traits::sync>), sizeof(shared_page<Traits>), sizeof(void*)},
        shape,
        offsets_of<Traits>(shape).total,
        0};
    it.checksum = it.sum();
    return it;
  }

  /// May a segment with this stamp, of so many bytes, be used by this build?
  template <class Traits>
  [[nodiscard]] constexpr segment_error judge(std::uint64_t size) const noexcept {
    if (magic != the_magic) return segment_error::foreign;
    if (version != the_version) return segment_error::other_version;
    if (checksum != sum()) return segment_error::torn;
    const segment_stamp mine = of<Traits>(shape);
    if (byte_order != mine.byte_order) return segment_error::other_layout;
    for (unsigned i = 0; i != nr_widths; ++i)
      if (widths[i] != mine.widths[i]) return segment_error::other_layout;
    if (!possible<Traits>(shape) || total != mine.total) return segment_error::torn;
    return size < total ? segment_error::too_small : segment_error::none;
  }

  /// Can there be such a segment?
  template <class Traits>
  [[nodiscard]] static constexpr bool possible(const segment_shape& shape) noexcept {
    const bool page_size = shape.page_size == 0 || (std::has_single_bit(shape.page_size) && shape.page_size >= 4096);
    return shape.places - 1 < ledger_memory<Traits>::max_places && shape.slots - 1 < 1u << 20 &&
           shape.pages - 1 < 1u << 31 && page_size && shape.user_bytes <= std::uint64_t{1} << 40 &&
           offsets_of<Traits>(shape).total <= std::numeric_limits<std::ptrdiff_t>::max();
  }

  /// Where everything is.
  template <class Traits>
  [[nodiscard]] static constexpr segment_offsets offsets_of(const segment_shape& shape) noexcept {
    const auto behind = [](std::uint64_t at, std::uint64_t n, std::uint64_t size, std::uint64_t alignment) noexcept {
      return (at + n * size + alignment - 1) / alignment * alignment;
    };
    segment_offsets at{};
    at.head = line;
    at.places = behind(at.head, 1, sizeof(ledger_head<Traits>), line);
    at.slots = behind(at.places, shape.places, sizeof(ledger_place<Traits>), line);
    at.pages =
        behind(at.slots, std::uint64_t{shape.places} * shape.slots, sizeof(ledger_slot<typename Traits::sync>), line);
    at.free = behind(at.pages, shape.pages, sizeof(shared_page<Traits>), line);
    at.user = behind(at.free, std::uint64_t{shape.pages} / 64 + 1, sizeof(std::uint64_t), line);
    at.frames = behind(at.user, 1, shape.user_bytes, 4096);
    at.total = behind(at.frames, shape.pages, shape.page_size, 4096);
    return at;
  }

 private:
  static constexpr std::uint64_t line = 256;

  // FNV-1a over the fields.
  [[nodiscard]] constexpr std::uint64_t sum() const noexcept {
    std::uint64_t h = 0xcbf2'9ce4'8422'2325;
    const auto add = [&h](std::uint64_t field) noexcept {
      for (int i = 0; i != 8; ++i) h = (h ^ (field >> 8 * i & 255)) * 0x100'0000'01b3;
    };
    add(magic);
    add(version);
    add(byte_order);
    for (const std::uint32_t width : widths) add(width);
    add(shape.places);
    add(shape.slots);
    add(shape.pages);
    add(shape.page_size);
    add(shape.user_bytes);
    add(total);
    return h;
  }
};

}  // namespace pinref::inline v0_1
