// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// holder_log: who holds which page, since when, and from which call.
///
/// An object of the host's, for debug builds: one for the program, or one for each arena. The words whose holders it
/// lists are `logged_ref`. It has room for as many entries as the host gives it, and allocates nothing.
///
/// What a handle or a request holds (`page_ptr`, `page_pin`, `pinned_range`, `pin_request`) is listed exactly: each
/// keeps an id by which the log knows it, wherever it is moved to and released. The holders of plain calls cannot be
/// told apart, since any of them may be released from anywhere. They are listed as candidates: for each page and each
/// place that took, how many of what was taken there are held at least, and at most. When all that plain calls took of
/// a page is released, its candidates go.
///
/// `Hooks` are told when a page gets its first pin and when the last one goes: data that must not be touched without a
/// pin can be poisoned in between. docs/observing.md shows it.
///
/// When not to use it: in production builds, where every take and release would come by its lock; to count pins
/// (`pin_accounts`), to limit them (`pin_owner`), to find the wrong release call (`checked_ref`).
///
/// Example:
///
///     pinref::holder_entry room[4096];
///     pinref::holder_log<std::mutex> log{room};                  // logged_ref says how words find it
///     // ... much later:
///     if (const auto pin = log.oldest_pin())
///       std::printf("pinned since %s:%u\n", pin->where.file, pin->where.line);
///     if (log.leaks() != 0) pinref::report_holders(log, stderr); // of holder_report.hpp
///
/// `Lock` is any lock of the host's. Visitors and hooks are called under it: they must neither throw, nor call the log,
/// nor take or release what it lists.
///
/// Errors: holders for which there is no room are counted in `missed()` and not listed. From then on the balances of
/// plain calls may be too low, and no pin is taken for the last one any more. Releases of what is not listed are
/// counted in `unmatched()`: it was missed, or the word was constructed alive, or a plain call released what a handle
/// goes on to hold. A release that the word refuses is none.
///
/// Memory order: that of the lock. Holders are listed after the take and struck before the release, so what is listed
/// is held.
/// Progress: blocks for the lock; a take or release looks at all entries of its page, `leaks` and `oldest_pin` at all
/// entries.
/// Source: Linux ref_tracker, page_owner, and kasan_poison_pages().

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "pinref/observe/holder_list.hpp"
#include "pinref/sync/lockable.hpp"
#include "pinref/word/call_site.hpp"
#include "pinref/word/holder.hpp"

namespace pinref::inline v0_1 {

// clang-format 14 breaks noexcept requirements apart.
// clang-format off
/// What a log tells of a word. `first_pin` comes after the take of the first pin and before its holder hears of it,
/// `last_pin` before the last one is released; both under the log's lock, so one at a time. A pin that comes while the
/// last one goes is the first again, so a pinned page is never left as last_pin has left it. Once a pin was missed,
/// first_pin may come of a page that is pinned already, and last_pin never does.
template <class Hooks>
concept pin_hooks = requires(Hooks& hooks, const void* word) {
  { hooks.first_pin(word) } noexcept;
  { hooks.last_pin(word) } noexcept;
};
// clang-format on

/// Hooks that do nothing.
struct no_pin_hooks {
  /// Nothing.
  void first_pin(const void*) noexcept {}
  void last_pin(const void*) noexcept {}
};

/// The list of holders, its lock and its hooks.
template <class Lock, pin_hooks Hooks = no_pin_hooks>
class holder_log {
 public:
  /// `room` must outlive the log. It is not looked at yet, so both may be constant-initialized.
  constexpr explicit holder_log(std::span<holder_entry> room, Hooks hooks = {}) noexcept : list_(room), hooks_(hooks) {}
  holder_log(const holder_log&) = delete;
  holder_log& operator=(const holder_log&) = delete;

  /// Calls `visit` with the page_holder of each entry of a page, known by its word's address; or of all pages.
  template <class Visit>
  void for_each_holder(const void* word, Visit visit) const noexcept {
    const guard locked{lock_};
    list_.for_each(word, visit);
  }
  template <class Visit>
  void for_each_holder(Visit visit) const noexcept {
    const guard locked{lock_};
    list_.for_all(visit);
  }

  /// The pin that was taken first; one of a candidate's may have been released. None if nothing is pinned.
  [[nodiscard]] std::optional<page_holder> oldest_pin() const noexcept {
    std::optional<page_holder> oldest;
    for_each_holder([&](const page_holder& each) noexcept {
      if (each.mode == hold::pin && (!oldest || each.sequence < oldest->sequence)) oldest = each;
    });
    return oldest;
  }

  /// How many holders are listed: at the end of the program, those that were not released.
  [[nodiscard]] std::uint64_t leaks() const noexcept { return leaks(hold::reference) + leaks(hold::pin); }
  [[nodiscard]] std::uint64_t leaks(hold mode) const noexcept {
    const guard locked{lock_};
    return list_.total(mode);
  }

  /// How many holders found no room.
  [[nodiscard]] std::uint64_t missed() const noexcept {
    const guard locked{lock_};
    return missed_references_ + missed_pins_;
  }
  /// How many holders were released that were not listed.
  [[nodiscard]] std::uint64_t unmatched() const noexcept {
    const guard locked{lock_};
    return unmatched_;
  }

  // For words.

  /// A life begins with n references. Those that handles brought through a freeze are among them.
  void start(const void* word, std::uint64_t n, const holder_site& where) noexcept {
    const guard locked{lock_};
    const std::uint64_t exact = list_.exact(word, hold::reference), plain = list_.balance(word, hold::reference);
    const std::uint64_t wanted = n > exact ? n - exact : 0;
    detail::holder_note was;
    if (wanted > plain)
      add({word, hold::reference, {}, where}, wanted - plain);
    else
      (void)list_.strike(word, hold::reference, {}, plain - wanted, was);
  }

  /// n were taken.
  void take(const void* word, hold mode, std::uint64_t n, const holder_site& where) noexcept {
    const change seen{*this, word};
    const holder_id id = where.holder == nullptr ? holder_id{} : id_of(*where.holder);
    if (add({word, mode, id, where}, n) && where.holder != nullptr) *where.holder = id;
  }

  /// What is being released, struck until the word refuses. The members are those of `watch`.
  class [[nodiscard]] release {
   public:
    release(holder_log& from, const void* word, hold mode, std::uint64_t n, const holder_site& where) noexcept
        : log_(from), n_(n) {
      // A handle that was missed has no id.
      if (where.holder != nullptr && where.holder->number == 0) {
        n_ = 0;
        return;
      }
      const change seen{log_, word};
      struck_ = log_.list_.strike(word, mode, where.holder == nullptr ? holder_id{} : *where.holder, n, was_);
    }
    [[nodiscard]] explicit operator bool() const noexcept { return true; }
    void done(release_result result) const noexcept {
      if (result != release_result::underflow && struck_ != n_) {
        const guard locked{log_.lock_};
        log_.unmatched_ += n_ - struck_;
      }
      if (result == release_result::underflow && struck_ != 0) {
        const change seen{log_, was_.word};
        if (!log_.list_.put_back(was_, struck_)) log_.miss(was_.mode, struck_);
      }
    }

   private:
    holder_log& log_;
    std::uint64_t n_;
    std::uint64_t struck_ = 0;
    detail::holder_note was_;
  };

  /// n of one's are another's: plain calls' become a handle's, or the other way round.
  void hand_on(const void* word, hold mode, std::uint64_t n, const holder_site& from, const holder_site& to) noexcept {
    const change seen{*this, word};
    detail::holder_note was;
    if (from.holder != nullptr) {
      const std::uint64_t struck = from.holder->number == 0 ? 0 : list_.strike(word, mode, *from.holder, n, was);
      was.id = {};
      if (struck != 0) add(was, struck);
    } else if (to.holder != nullptr) {
      // Which one's it was is known only where there is but one.
      const bool known = list_.candidates(word, mode) == 1;
      (void)list_.strike(word, mode, {}, n, was);
      if (!known) was = {word, mode, {}, static_cast<const call_site&>(to)};
      was.id = id_of(*to.holder);
      if (add(was, n)) *to.holder = was.id;
    }
  }

  /// The page has no holder any more.
  void bury(const void* word) noexcept {
    const change seen{*this, word};
    list_.erase(word);
  }

 private:
  using guard = detail::lock_guard<Lock>;

  // Holds the lock, and tells the hooks what has become of the page meanwhile.
  class change {
   public:
    change(holder_log& of, const void* word) noexcept
        : locked_(of.lock_), of_(of), word_(word), pinned_(of.list_.pinned(word)), missed_(of.missed_pins_) {}
    change(const change&) = delete;
    ~change() {
      const bool pinned = of_.list_.pinned(word_);
      if (pinned ? !pinned_ : of_.missed_pins_ != missed_) of_.hooks_.first_pin(word_);
      if (!pinned && pinned_ && of_.missed_pins_ == 0) of_.hooks_.last_pin(word_);
    }

   private:
    guard locked_;
    holder_log& of_;
    const void* word_;
    bool pinned_;
    std::uint64_t missed_;
  };

  [[nodiscard]] holder_id id_of(const holder_id& handle) noexcept {
    return handle.number != 0 ? handle : holder_id{this, ++handles_};
  }
  bool add(const detail::holder_note& what, std::uint64_t n) noexcept {
    if (list_.add(what, n)) return true;
    miss(what.mode, n);
    return false;
  }
  void miss(hold mode, std::uint64_t n) noexcept { (mode == hold::pin ? missed_pins_ : missed_references_) += n; }

  mutable Lock lock_;
  detail::holder_list list_;
  std::uint64_t handles_ = 0;
  std::uint64_t missed_references_ = 0;
  std::uint64_t missed_pins_ = 0;
  std::uint64_t unmatched_ = 0;
  [[no_unique_address]] Hooks hooks_;
};

}  // namespace pinref::inline v0_1
