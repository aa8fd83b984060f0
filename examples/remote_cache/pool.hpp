// SPDX-License-Identifier: MIT
#pragma once

// The server's memory: frames, which page is in which of them, and the file behind. One thread lends pages; another one
// writes changed pages back and empties frames, and gives their memory back to the system in between.
//
// The frames are pages of a segment, so who holds them is in its ledger. The pool's own reference keeps a page, a pin
// says that a client may be at it. So a frame is emptied by freezing it at that one reference, and nothing else is
// asked.

#include <sys/mman.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "options.hpp"
#include "pinref/host/registration_cache.hpp"
#include "pinref/share.hpp"
#include "support/direct_file.hpp"
#include "support/fabric.hpp"

namespace examples::remote_cache {

using registrations = pinref::registration_cache<fabric::domain, 64>;

struct frame {
  std::uint32_t number = 0;  // of its page in the segment

  // Under the pool's lock.
  std::uint32_t page = none;
  std::uint64_t version = 0;  // that is in it
  std::uint32_t readers = 0;
  bool to_write = false;  // lent to one who writes
  bool dirty = false;
  bool written_back = false;  // at this moment

  static constexpr std::uint32_t none = UINT32_MAX;
};

/// A page that a client has.
struct loan {
  frame* from = nullptr;
  std::uint32_t page = 0;
  std::uint64_t version = 0;  // of a reader, what is there; of a writer, what will be
  bool to_write = false;
  pinref::ledger_hold pin;                      // leased
  registrations::region* registered = nullptr;  // pinned, or null
  std::uint64_t address = 0, key = 0;           // for the client
};

class pool {
 public:
  pool(const options& how, const direct_file& file, fabric::domain& nic)
      : how_(how), file_(file), nic_(nic), written_(how.nr_pages, 1), frame_of_(how.nr_pages, nullptr) {
    if (ledger_.create({.places = 4, .slots = 256, .pages = how.nr_frames, .page_size = 0}) !=
        pinref::segment_error::none)
      throw cannot_run("there is no memfd that can be sealed");
    memory_ = static_cast<std::byte*>(map(nullptr, how.nr_frames * how.page_bytes()));
    for (std::uint32_t i = 0; i != how.nr_frames; ++i) {
      frames_[i].number = i;
    }
    const std::unique_ptr<block[]> content{new block[how.blocks()]};
    const std::span page{content.get(), how.blocks()};
    for (std::uint32_t i = 0; i != how.nr_pages; ++i) {
      fill_page(page, i, 1);
      file.write(page, i * how.blocks());
    }
  }
  pool(const pool&) = delete;
  pool& operator=(const pool&) = delete;
  ~pool() { ::munmap(memory_, how_.nr_frames * how_.page_bytes()); }

  /// Of what who lends pages, and who empties frames, are members.
  [[nodiscard]] const auto& ledger() const { return ledger_.memory(); }

  /// A page for a client, pinned by a lease that may be fenced from `until` on; nothing if that cannot be had now.
  [[nodiscard]] std::optional<loan> lend(pinref::member& me, std::uint32_t page, bool to_write, std::uint64_t until) {
    const std::lock_guard guard{lock_};
    frame* const at = frame_of_[page] != nullptr ? frame_of_[page] : load(me, page);
    // Nobody else is at a page that is written to; and it is on disk as it was, should the writer not come to its end.
    if (at == nullptr || at->to_write || (to_write && (at->readers != 0 || at->dirty || at->written_back))) return {};
    loan lent;
    lent.from = at;
    lent.page = page;
    lent.version = at->version;
    lent.to_write = to_write;
    verify(*at, "when it is lent");
    const auto [region, reason] = cache_.pin(address_of(*at), how_.page_bytes(), FI_REMOTE_READ | FI_REMOTE_WRITE);
    if (region == nullptr) return {};
    if (!how_.no_pins) {
      lent.pin = me.try_pin(at->number).held;
      if (me.lease(lent.pin, until) != pinref::ledger_result::done) std::abort();
    }
    lent.registered = region;
    lent.key = region->handle().key;
    lent.address = address_of(*at) - (nic_.by_address() ? 0 : region->first());
    if (how_.no_pins) end_transfer(me, lent);
    if (to_write) lent.version = ++last_version_;
    at->to_write = to_write;
    if (!to_write) ++at->readers;
    return lent;
  }

  /// A client says that its transfer is over. `whole`: and all of it has arrived.
  void returned(pinref::member& me, loan& lent, bool whole) {
    const std::lock_guard guard{lock_};
    end_transfer(me, lent);
    if (!leave(lent) || !lent.to_write) return;
    if (!whole) return reload(*lent.from);
    lent.from->version = lent.version;
    lent.from->dirty = true;
    verify(*lent.from, "when it was written");
  }
  /// A client can reach the page no more, whatever it was about to do. The pin is still there.
  void taken_back(loan& lent) {
    const std::lock_guard guard{lock_};
    if (lent.to_write && lent.from->page == lent.page && is_torn(*lent.from)) ++torn;
    end_registration(lent);
    // The control: it cannot be registered any more under its old key.
    if (how_.close_only) (void)close_and_open(*lent.from, false);
    if (leave(lent) && lent.to_write) reload(*lent.from);
  }

  /// Writes one changed page back, if there is one.
  bool write_back(pinref::member& me) {
    std::unique_lock guard{lock_};
    for (frame& each : frames_) {
      if (!each.dirty || each.to_write || each.page == frame::none) continue;
      pinref::ledger_take pin = me.try_pin(each.number);
      if (!pin) continue;
      const std::uint64_t version = each.version;
      const std::uint32_t page = each.page;
      each.written_back = true;
      guard.unlock();
      verify(each, "before it is written back");
      file_.write(content(each), page * how_.blocks());
      guard.lock();
      each.written_back = each.dirty = false;
      written_[page] = version;
      (void)me.release(pin.held);
      ++nr_written_back;
      return true;
    }
    return false;
  }
  /// Empties one frame that nobody is at, and gives its memory to the system.
  bool evict(pinref::member& me) {
    std::unique_lock guard{lock_};
    if (ledger_.nr_free() >= 3) return false;
    frame& victim = frames_[hand_++ % how_.nr_frames];
    if (victim.page == frame::none || victim.dirty || victim.written_back) return false;
    pinref::ledger_hold own = claim(me, victim);
    if (!own) return false;
    verify(victim, "before it leaves");
    frame_of_[victim.page] = nullptr;
    victim.page = frame::none;
    victim.to_write = false;
    victim.readers = 0;
    guard.unlock();
    // Frozen: it is ours alone.
    if (!how_.no_pins) {
      if (!close_and_open(victim, true)) complain("a region is held though nobody has the frame");
    } else {
      cache_.tell(address_of(victim), how_.page_bytes());
      (void)map(memory_of(victim), how_.page_bytes());
      cache_.reap();
    }
    guard.lock();
    (void)me.free(own);
    ++nr_evicted;
    return true;
  }

  /// Everything is on the disk, and nobody is left. What is wrong, if anything.
  [[nodiscard]] std::string settle(pinref::member& me) {
    while (write_back(me)) {
    }
    for (frame& each : frames_) {
      if (each.page == frame::none) continue;
      pinref::ledger_hold own = claim(me, each);
      if (!own) return "frame " + std::to_string(each.number) + " is held";
      (void)me.free(own);
    }
    if (ledger_.nr_free() != how_.nr_frames) return "a frame is neither free nor used";
    if (cache_.close(reinterpret_cast<std::uintptr_t>(memory_), how_.nr_frames * how_.page_bytes()) !=
        pinref::gup_error::none)
      return "memory is still registered";
    if (nic_.registered != 0) return std::to_string(nic_.registered) + " registrations are left";
    const std::unique_ptr<block[]> space{new block[how_.blocks()]};
    const std::span page{space.get(), how_.blocks()};
    for (std::uint32_t i = 0; i != how_.nr_pages; ++i) {
      file_.read(page, i * how_.blocks());
      if (const std::string fault = find_page_fault(page, i, written_[i]); !fault.empty()) complain("disk: " + fault);
    }
    return {};
  }

  void complain(const std::string& what) {
    if (faults.fetch_add(1) == 0) std::fprintf(stderr, "%s\n", what.c_str());
  }

  std::atomic<std::uint64_t> faults{0};
  std::atomic<std::uint64_t> nr_evicted{0};
  std::uint64_t nr_written_back = 0, torn = 0;
  [[nodiscard]] pinref::registration_counts registered() { return cache_.counts(); }

 private:
  static void* map(void* where, std::size_t bytes) {
    void* const got = ::mmap(where, bytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | (where != nullptr ? MAP_FIXED : 0), -1, 0);
    if (got == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    return got;
  }
  [[nodiscard]] std::byte* memory_of(const frame& f) const { return memory_ + f.number * how_.page_bytes(); }
  [[nodiscard]] std::uintptr_t address_of(const frame& f) const {
    return reinterpret_cast<std::uintptr_t>(memory_of(f));
  }
  [[nodiscard]] std::span<block> content(const frame& f) const {
    return {reinterpret_cast<block*>(memory_of(f)), how_.blocks()};
  }

  void verify(const frame& f, const char* when) {
    if (f.to_write) return;
    const std::string fault = find_page_fault(content(f), f.page, f.version);
    if (!fault.empty()) complain(std::string{when} + ": " + fault);
  }
  // Has some of a new version arrived, but not all?
  [[nodiscard]] bool is_torn(const frame& f) const {
    const std::span<block> all = content(f);
    return all.front().version != f.version && all.back().version == f.version;
  }

  // Under the lock.

  [[nodiscard]] frame* load(pinref::member& me, std::uint32_t page) {
    pinref::ledger_take own = me.allocate();
    if (!own) return nullptr;
    frame& fresh = frames_[own.held.page()];
    fresh.page = page;
    reload(fresh);
    if (me.keep(own.held) != pinref::ledger_result::done) std::abort();
    frame_of_[page] = &fresh;
    return &fresh;
  }
  void reload(frame& f) {
    file_.read(content(f), f.page * how_.blocks());
    f.version = written_[f.page];
    f.dirty = false;
    verify(f, "as it was read from the disk");
  }
  // False if the frame has another page by now: then somebody took it who should not have.
  bool leave(const loan& lent) {
    frame& f = *lent.from;
    if (f.page != lent.page || (lent.to_write ? !f.to_write : f.readers == 0)) {
      if (lent.to_write)
        complain("page " + std::to_string(lent.page) + " was taken away from the client that writes it");
      return false;
    }
    if (lent.to_write)
      f.to_write = false;
    else
      --f.readers;
    return true;
  }
  static void end_registration(loan& lent) {
    if (lent.registered != nullptr) (void)pinref::unpin_user_page(*lent.registered);
    lent.registered = nullptr;
  }
  static void end_transfer(pinref::member& me, loan& lent) {
    end_registration(lent);
    if (lent.pin) (void)me.release(lent.pin);
  }
  // The pool's reference of a frame that nobody else holds, frozen; or nothing.
  [[nodiscard]] static pinref::ledger_hold claim(pinref::member& me, const frame& f) {
    pinref::ledger_take own = me.claim(f.number);
    if (!own) return {};
    if (me.freeze(own.held) == pinref::ledger_result::done) return own.held;
    if (me.keep(own.held) != pinref::ledger_result::done) std::abort();
    return {};
  }
  // No frame's memory is another one's, so a region is one frame.
  bool close_and_open(const frame& f, bool replace) {
    if (cache_.close(address_of(f), how_.page_bytes()) != pinref::gup_error::none) return false;
    if (replace) (void)map(memory_of(f), how_.page_bytes());
    return cache_.open(address_of(f), how_.page_bytes());
  }

  const options& how_;
  const direct_file& file_;
  fabric::domain& nic_;
  registrations cache_{nic_};
  pinref::segment ledger_;
  std::byte* memory_ = nullptr;

  std::mutex lock_;
  frame frames_[options::nr_frames];
  std::vector<std::uint64_t> written_;  // the version on the disk
  std::vector<frame*> frame_of_;
  std::uint64_t last_version_ = 1;
  std::uint32_t hand_ = 0;
};

}  // namespace examples::remote_cache
