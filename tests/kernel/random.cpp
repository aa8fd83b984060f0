// SPDX-License-Identifier: MIT

// Random operations on the same memory, by the kernel and by pinref.

#include <array>
#include <iostream>
#include <random>
#include <sstream>
#include <vector>

#include "lab.hpp"

namespace kernel {
namespace {

using pinref::protection;

class player {
 public:
  player(lab& all, std::uint64_t seed) : all_(all), random_(seed) {}

  // One operation, or none where the picked one does not apply: what() is empty then. False when something differed.
  bool step() {
    what_.str({});
    switch (pick({6, 6, 4, 3, 5, 2, 16, 10, 8, 8, 6, 6, 14, 4, 4})) {
      case 0:
        return map(area::touched);
      case 1:
        return map(area::shared);
      case 2:
        return unmap();
      case 3:
        return change_huge();
      case 4:
        return protect();
      case 5:
        return drop();
      case 6:
        return register_some();
      case 7:
        return unregister();
      case 8:
        return device(true);
      case 9:
        return device(false);
      case 10:
        return peer(true);
      case 11:
        return peer(false);
      case 12:
        return ask();
      case 13:
        return refer();
      default:
        return unrefer();
    }
  }

  void finish() {
    for (std::size_t slot = 0; slot != all_.rings.size(); ++slot)
      if (all_.registered(slot)) all_.unregister("released at the end", slot);
    while (!references_.empty()) (void)unrefer();
  }

  // What was done last, for the report of a difference.
  [[nodiscard]] std::string what() const { return what_.str(); }
  [[nodiscard]] unsigned done(bool good) const { return good ? good_ : bad_; }

 private:
  // A private page is there from the start: the kernel would map its zero page where the default host allocates.
  enum class area : unsigned char { hole, touched, shared };
  // In parts it is still one page, which the question whether it may be moved would split.
  enum class huge_state : unsigned char { hole, whole, in_parts };
  struct page_state {
    area kind = area::hole;
    protection allowed = protection::none;
  };
  struct reference {
    spliced_references by_kernel;
    mirror::page* page;
  };
  static constexpr std::size_t small = 128;  // few, so that operations meet

  // Not the standard library's distributions: a seed must mean the same everywhere.
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  std::size_t pick(std::initializer_list<std::size_t> weights) {
    std::size_t all = 0, i = 0;
    for (const std::size_t each : weights) all += each;
    std::size_t at = below(all);
    for (const std::size_t* each = weights.begin(); at >= *each; ++each, ++i) at -= *each;
    return i;
  }

  struct page_span {
    std::size_t first, n;
  };
  page_span pages(std::size_t most) {
    const std::size_t first = below(small);
    return {first, 1 + below(std::min(most, small - first))};
  }
  // A range of bytes in the small pages or, if they may be meant, across the huge ones.
  iovec bytes(std::size_t unit, bool huge_too = true) {
    const bool in_huge = below(5) == 0 && huge_too;
    const std::uintptr_t base = in_huge ? all_.memory.huge_at(0) : all_.memory.at(0);
    const std::size_t room = (in_huge ? mirror::huge_pages * 512 : small) * page_size / unit;
    const std::size_t first = below(room);
    const std::size_t longest = std::min(room - first, (below(4) == 0 ? 128 : 6) * page_size / unit);
    const iovec made = lab::buffer(base + first * unit, (1 + below(longest)) * unit);
    what_ << " +" << made.iov_len << " at " << (in_huge ? "huge " : "") << first * unit / page_size << ':'
          << first * unit % page_size;
    return made;
  }
  static std::uintptr_t address(const iovec& range) { return reinterpret_cast<std::uintptr_t>(range.iov_base); }
  bool same(bool equal, bool good) {
    ++(good ? good_ : bad_);
    return equal;
  }

  bool map(area kind) {
    const page_span at = pages(48);
    what_ << (kind == area::touched ? "map touched " : "map shared ") << at.first << " +" << at.n;
    if (kind == area::touched)
      all_.memory.map_touched(at.first, at.n);
    else
      all_.memory.map_shared(at.first, at.n);
    for (std::size_t i = 0; i != at.n; ++i) pages_[at.first + i] = {kind, protection::read_write};
    return true;
  }
  bool unmap() {
    const page_span at = pages(12);
    what_ << "unmap " << at.first << " +" << at.n;
    all_.memory.unmap(at.first, at.n);
    for (std::size_t i = 0; i != at.n; ++i) pages_[at.first + i] = {};
    return true;
  }
  bool protect() {
    const page_span at = pages(12);
    std::size_t n = 0;
    while (n != at.n && pages_[at.first + n].kind != area::hole) ++n;
    if (n == 0) return true;
    const protection allowed = std::array{protection::none, protection::read, protection::read_write}[below(3)];
    what_ << "protect " << at.first << " +" << n << ' ' << static_cast<int>(allowed);
    all_.memory.protect(at.first, n, allowed);
    for (std::size_t i = 0; i != n; ++i) pages_[at.first + i].allowed = allowed;
    return true;
  }
  // The page goes, another comes.
  bool drop() {
    const std::size_t i = below(small);
    if (pages_[i].kind != area::touched || pages_[i].allowed != protection::read_write) return true;
    what_ << "drop " << i;
    all_.memory.drop(i, 1);
    all_.memory.store(i);
    return true;
  }
  bool change_huge() {
    if (!all_.huge_lacking.empty()) return true;
    const std::size_t i = below(mirror::huge_pages);
    const std::size_t first = mirror::small_pages + i * 512;
    const std::size_t how = below(6);
    if (how == 0) {
      what_ << "unmap huge " << i;
      all_.memory.unmap(first, 512);
      huge_[i] = huge_state::hole;
    } else if (how < 3 && huge_[i] != huge_state::hole) {
      const std::size_t from = below(512), n = 1 + below(512 - from);
      const protection allowed = std::array{protection::none, protection::read, protection::read_write}[below(3)];
      what_ << "protect huge " << i << ", " << from << " +" << n << ' ' << static_cast<int>(allowed);
      all_.memory.protect(first + from, n, allowed);
      huge_[i] = huge_state::in_parts;
    } else {
      what_ << "map huge " << i;
      huge_[i] = all_.memory.map_huge(i) ? huge_state::whole : huge_state::hole;
    }
    return true;
  }

  bool register_some() {
    const std::size_t slot = below(all_.rings.size());
    if (!all_.rings_lacking.empty() || all_.registered(slot)) return true;
    what_ << "register in " << slot;
    std::vector<iovec> list;
    for (std::size_t n = 1 + below(3); n != 0; --n) list.push_back(bytes(1, all_.may_lock_much));
    if (below(4) == 0) list.push_back(list.front());
    const bool equal = all_.register_buffers("register", list, slot);
    return same(equal, all_.registered(slot));
  }
  bool unregister() {
    const std::size_t slot = below(all_.rings.size());
    if (!all_.registered(slot)) return true;
    what_ << "unregister " << slot;
    return all_.unregister("unregister", slot);
  }
  bool device(bool writes) {
    if (!all_.file.lacking().empty()) return true;
    what_ << (writes ? "O_DIRECT read" : "O_DIRECT write");
    const iovec range = bytes(512);
    outcome got;
    return all_.compare(
               writes ? "O_DIRECT read" : "O_DIRECT write",
               [&] {
                 got = writes ? all_.file.read(address(range), range.iov_len)
                              : all_.file.write(address(range), range.iov_len);
                 return got;
               },
               [&] { return direct_access(all_.memory.space(), address(range), range.iov_len, writes); },
               lab::nothing_to_undo) &&
           same(true, got.error == 0);
  }
  bool peer(bool writes) {
    if (!all_.peer.lacking().empty()) return true;
    what_ << (writes ? "process_vm_writev" : "process_vm_readv");
    const iovec range = bytes(1);
    outcome got;
    return all_.compare(
               writes ? "process_vm_writev" : "process_vm_readv",
               [&] {
                 got = writes ? all_.peer.write(address(range), range.iov_len)
                              : all_.peer.read(address(range), range.iov_len);
                 return got;
               },
               [&] { return remote_access(all_.memory.space(), address(range), range.iov_len, writes); },
               lab::nothing_to_undo) &&
           same(true, got.done == range.iov_len);
  }

  bool ask() {
    if (!all_.mover.lacking().empty()) return true;
    if (const std::size_t i = below(small + mirror::huge_pages); i >= small) {
      if (huge_[i - small] != huge_state::whole) return true;
      what_ << "pinned? huge " << i - small;
      return all_.same_pinned("pinned? huge", all_.memory.huge_at(i - small), huge_size);
    } else {
      if (pages_[i].kind != area::touched || pages_[i].allowed != protection::read_write) return true;
      what_ << "pinned? " << i;
      return all_.same_pinned("pinned?", all_.memory.at(i));
    }
  }
  bool refer() {
    const std::size_t i = below(small);
    if (pages_[i].allowed != protection::read_write || references_.size() == 16) return true;
    spliced_references taken{all_.memory.at(i), 1};
    if (!taken.complete()) return true;
    what_ << "refer " << i;
    mirror::page* page = nullptr;
    const auto got = pinref::get_user_pages_fast(all_.memory.space(), all_.memory.at(i), 1, pinref::foll::none, &page);
    references_.push_back({std::move(taken), page});
    return all_.out.same("refer", outcome{0, 1}, outcome{pinref::to_errno(got.reason), got.count});
  }
  bool unrefer() {
    if (references_.empty()) return true;
    what_ << "unrefer";
    const std::size_t i = below(references_.size());
    (void)pinref::put_page(*references_[i].page);
    std::swap(references_[i], references_.back());
    references_.pop_back();
    return true;
  }

  lab& all_;
  std::mt19937_64 random_;
  std::ostringstream what_;
  std::array<page_state, small> pages_{};
  std::array<huge_state, mirror::huge_pages> huge_{};
  std::vector<reference> references_;
  unsigned good_ = 0, bad_ = 0;
};

}  // namespace

void run_random(lab& all, std::uint64_t seed, unsigned operations) {
  if (!all.rings_lacking.empty() && !all.file.lacking().empty() && !all.peer.lacking().empty())
    return all.out.skip("random operations", all.rings_lacking);
  all.out.begin("random operations");
  const pinref::pin_totals before = all_pins.totals();
  player one{all, seed};
  unsigned i = 0;
  while (i != operations && one.step()) i += one.what().empty() ? 0 : 1;
  if (all.out.row_differs())
    std::cout << "seed " << seed << ", operation " << i << ": " << one.what() << std::endl;
  else
    std::cout << "covered: seed " << seed << ": " << i << " operations, of which " << one.done(true)
              << " pinned all pages and " << one.done(false) << " did not" << std::endl;
  one.finish();
  const pinref::pin_totals own = lab::since(before, all_pins.totals());
  all.out.same("pinref holds nothing at the end", own.acquired, own.released);
  all.memory.unmap(0, mirror::nr_pages);
  all.out.same("no frame of pinref is in use at the end", std::size_t{0}, all.memory.frames_in_use());
}

}  // namespace kernel
