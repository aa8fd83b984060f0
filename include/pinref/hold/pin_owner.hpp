#pragma once

/// \file
/// pin_owner and owned_pins: pins that know who asked for them.
///
/// An owner is a file, a queue pair, a connection, a tenant. It has a limit in pages, as RLIMIT_MEMLOCK limits a
/// process; a count of the pages it has pinned; and all its requests, so that what it still holds can be released when
/// it goes away. A request is an `owned_pins`: one pinned range and the place it is queued in. Nothing is allocated.
///
/// A completion handler that may not block releases with `unpin_dirty_deferred`: pages whose lock is taken stay pinned
/// until somebody who may block calls `drain`.
///
/// When not to use it: for pins that live and die in one function. `pinned_range` needs no owner, and plain calls pay
/// nothing for owners.
///
/// Example:
///
///     pinref::pin_owner<frame, std::mutex> connection{1024};     // at most 1024 pages at a time
///     frame* pages[16];                                          // outlives the request
///     pinref::owned_pins request{connection};
///     auto done = request.pin_user_pages_fast(space, start, 16, pinref::foll::write, pages);
///     // ... on completion, in a context that may not block:
///     request.unpin_dirty_deferred();
///     // ... later, where it may:
///     connection.drain();
///
/// Threads: any may call an owner. A request is used by one thread at a time, except that the owner may release it at
/// any moment: of a release by the request and one by the owner exactly one does the work.
///
/// `Lock` is any BasicLockable of the host; it guards the list of requests. Nothing of the host's runs under it, and
/// nobody sleeps: pages are locked, marked and freed outside, one request at a time. So whoever has a page locked, even
/// one that a drain sleeps on, may make requests and end them, but for those that hold this page.
///
/// Memory order: as the calls without an owner; besides, who pins with a request that its owner has released comes
/// after that release. Counts give no order.
///
/// Source: the vaddr_pin proposal for Linux (pins tied to a file), RLIMIT_MEMLOCK, bio_check_pages_dirty().

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "pinref/gup/gup.hpp"
#include "pinref/gup/release.hpp"
#include "pinref/ref/deadline.hpp"

namespace pinref {

template <host_page Page, class Lock>
class owned_pins;

/// Who pins are counted against. Must outlive its requests.
template <host_page Page, class Lock>
class pin_owner {
 public:
  /// The limit of an owner that has none.
  static constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

  /// An owner without requests, that may have `limit` pages pinned at a time. Each request counts all its pages, also
  /// those that others have pinned already.
  explicit pin_owner(std::size_t limit = no_limit) noexcept : limit_(limit) {}
  pin_owner(const pin_owner&) = delete;
  pin_owner& operator=(const pin_owner&) = delete;

  /// Pages it may have pinned at a time.
  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
  /// Pages it has pinned, or is about to, at some instant: never more than the limit.
  [[nodiscard]] std::size_t live() const noexcept { return live_.load(std::memory_order_relaxed); }

  /// Releases every pin the owner still holds, but for what was put off. The count is in pages; `underflow` if a
  /// request held fewer pins than it took. What its own thread, or another caller of the owner, is pinning or releasing
  /// at this moment is left to them: whoever takes an owner away stops new requests first, and looks at live() to see
  /// the last of them gone. May block where the host's free_page does. Time: one step for each request.
  gup_result unpin_all() noexcept {
    gup_result all;
    release_each(request::held, &request::drop, all);
    return all;
  }

  /// As unpin_all, marked dirty first, and then what was put off. May block, on page locks. Precondition: the caller
  /// has none of these pages locked.
  gup_result unpin_all_dirty_lock() noexcept {
    gup_result all;
    release_each(request::held, &request::drop_dirty, all);
    release_deferred(all);
    return all;
  }

  /// Releases, marked dirty, what unpin_dirty_deferred has put off; what another caller is releasing at this moment is
  /// left to him. Returns the pages released. Blocking, precondition and time as above; if nothing was put off, it is
  /// one load. Linux: bio_dirty_fn().
  std::size_t drain() noexcept {
    gup_result all;
    release_deferred(all);
    return all.count;
  }

 private:
  friend class owned_pins<Page, Lock>;
  using request = owned_pins<Page, Lock>;
  using sync = typename detail::ref_of<Page>::sync;
  template <class T>
  using atomic = typename sync::template atomic<T>;

  struct guard {
    explicit guard(Lock& lock) noexcept : lock_(lock) { lock_.lock(); }
    guard(const guard&) = delete;
    ~guard() { lock_.unlock(); }
    Lock& lock_;
  };

  void release_deferred(gup_result& all) noexcept {
    if (nr_deferred_.load(std::memory_order_relaxed) != 0) release_each(request::deferred, &request::drop_dirty, all);
  }

  // Releases what stands in state `from`. One request is in hand at a time: whoever waits for the end of another one
  // may have the lock of the page that this one sleeps on.
  void release_each(std::uint32_t from, gup_result (request::*how)() noexcept, gup_result& all) noexcept {
    for (request* each = next_in_hand(nullptr, from); each != nullptr; each = next_in_hand(each, from)) {
      const gup_result done = (each->*how)();
      all.count += done.count;
      if (!done.ok()) all.reason = done.reason;
    }
  }

  // Takes the next request in state `from` in hand, and gives the one before it back: not earlier, because only the one
  // in hand is sure to stay where it is in the list.
  [[nodiscard]] request* next_in_hand(request* before, std::uint32_t from) noexcept {
    const guard locked{lock_};
    request* next = before != nullptr ? before->next_ : requests_;
    while (next != nullptr && !next->claim(from)) next = next->next_;
    if (before != nullptr) before->give_back();
    return next;
  }

  // Looks before it adds: one that does not fit keeps nobody else out.
  [[nodiscard]] bool charge(std::size_t n) noexcept {
    std::size_t live = live_.load(std::memory_order_relaxed);
    do {
      if (n > limit_ - live) return false;
    } while (!live_.compare_exchange_weak(live, live + n, std::memory_order_relaxed, std::memory_order_relaxed));
    return true;
  }
  void uncharge(std::size_t n) noexcept { live_.fetch_sub(n, std::memory_order_relaxed); }

  const std::size_t limit_;
  atomic<std::size_t> live_{0};
  atomic<std::size_t> nr_deferred_{0};
  request* requests_ = nullptr;  // under the lock
  Lock lock_;
};

/// One request of an owner: the pins of one call. Neither copied nor moved: its owner knows it by address.
template <host_page Page, class Lock>
class owned_pins {
 public:
  using owner_type = pin_owner<Page, Lock>;

  /// A request without pins. Takes the owner's lock for a few instructions.
  explicit owned_pins(owner_type& owner) noexcept : owner_(owner) {
    const typename owner_type::guard locked{owner_.lock_};
    next_ = owner_.requests_;
    if (next_ != nullptr) next_->previous_ = this;
    owner_.requests_ = this;
  }
  owned_pins(const owned_pins&) = delete;
  owned_pins& operator=(const owned_pins&) = delete;

  /// Releases what is left without marking it, and what was put off marked, which may block. If the owner is releasing
  /// this request right now, sleeps until it has. Precondition: the caller has none of its pages locked.
  ~owned_pins() {
    (void)unpin();
    if constexpr (can_defer) (void)release(deferred, &owned_pins::drop_dirty);
    await_owner();
    const typename owner_type::guard locked{owner_.lock_};
    (previous_ != nullptr ? previous_->next_ : owner_.requests_) = next_;
    if (next_ != nullptr) next_->previous_ = previous_;
  }

  /// As pinref::pin_user_pages, counted against the owner: limit_exceeded, before anything is pinned, if nr_pages more
  /// do not fit, though fewer might; busy if the request has pins already, or the owner is still releasing them.
  /// `pages` is read by whoever releases: it must stay until a release by this request says that it was done here, the
  /// request can pin again, or it is gone. Memory order, progress and the other errors are those of that call.
  template <address_space Space>
  gup_result pin_user_pages(Space& space, std::uintptr_t start, std::size_t nr_pages, foll flags,
                            Page** pages) noexcept {
    return pin(space, start, nr_pages, flags, pages, false);
  }
  /// As pinref::pin_user_pages_fast, counted against the owner; see above.
  template <address_space Space>
  gup_result pin_user_pages_fast(Space& space, std::uintptr_t start, std::size_t nr_pages, foll flags,
                                 Page** pages) noexcept {
    return pin(space, start, nr_pages, flags, pages, true);
  }

  /// Releases the pins. The count, in pages, is 0 if there are none, if they were put off, or if the owner was faster,
  /// which may still be at it. `underflow` as for unpin_user_pages. Takes no lock.
  gup_result unpin() noexcept { return release(held, &owned_pins::drop); }
  /// As unpin, marked dirty first. May block, on page locks.
  gup_result unpin_dirty_lock() noexcept { return release(held, &owned_pins::drop_dirty); }

  /// Releases the pins marked dirty and never blocks: a clean page whose lock is taken stays pinned until the owner's
  /// drain. Returns the pages released now. Request and array must stay until then; the array is reordered. Linux:
  /// bio_check_pages_dirty().
  std::size_t unpin_dirty_deferred() noexcept {
    static_assert(trylockable_page<Page>, "pinref: deferred release needs page_traits<Page>::try_lock(page)");
    static_assert(lockable_page<Page> && dirty_page<Page>,
                  "pinref: deferred release needs lock(page), dirty(page) and set_dirty(page) of page_traits<Page>");
    if (!claim(held)) return 0;
    const std::size_t all = count_;
    const std::size_t released = release_unlocked();
    owner_.uncharge(all - count_);
    // Counted before anybody can claim it.
    if (count_ != 0) owner_.nr_deferred_.fetch_add(1, std::memory_order_relaxed);
    publish(count_ != 0 ? deferred : empty);
    return released;
  }

 private:
  friend class pin_owner<Page, Lock>;
  using traits = page_traits<Page>;
  using sync = typename owner_type::sync;

  static constexpr bool can_defer = trylockable_page<Page> && lockable_page<Page> && dirty_page<Page>;

  // States. A request that is claimed belongs to the claimant, with pages_ and count_.
  static constexpr std::uint32_t empty = 0;     // no pins
  static constexpr std::uint32_t held = 1;      // pins, and nobody is releasing them
  static constexpr std::uint32_t deferred = 2;  // pins that wait for a drain
  static constexpr std::uint32_t claimed = 3;   // somebody is pinning or releasing
  static constexpr std::uint32_t awaited = 4;   // claimed by the owner, and the destructor sleeps until it is not

  [[nodiscard]] bool claim(std::uint32_t from) noexcept {
    std::uint32_t seen = from;
    // (O1) pairs with (O2), (O3): the claimant sees the pages, or the emptiness, that the one before left.
    if (!state_.compare_exchange_strong(seen, claimed, std::memory_order_acquire, std::memory_order_relaxed))
      return false;
    if (from == deferred) owner_.nr_deferred_.fetch_sub(1, std::memory_order_relaxed);
    return true;
  }
  // By its own thread.
  void publish(std::uint32_t to) noexcept {
    // (O2) pairs with (O1): whoever claims next sees the request as it is left here.
    state_.store(to, std::memory_order_release);
  }
  // By the owner, under its lock, without which the request cannot go away before its sleeper is woken.
  void give_back() noexcept {
    // (O3) pairs with (O1): whoever pins with it next sees its pages no longer counted.
    if (state_.exchange(empty, std::memory_order_release) == awaited) sync::wake_all(state_);
  }
  // Gives no order: the owner's lock, taken next, does.
  void await_owner() noexcept {
    for (;;) {
      std::uint32_t seen = claimed;
      const bool marked =
          state_.compare_exchange_strong(seen, awaited, std::memory_order_relaxed, std::memory_order_relaxed);
      if (!marked && seen != awaited) return;
      const auto until_given_back = sync::futex_of(state_, 0, awaited);
      (void)sync::wait(&until_given_back, 1, deadline::never());
    }
  }

  template <class Space>
  gup_result pin(Space& space, std::uintptr_t start, std::size_t nr_pages, foll flags, Page** pages,
                 bool fast) noexcept {
    const gup_error bad = detail::check_call<hold::pin>(space, start, nr_pages, flags, pages);
    if (bad != gup_error::none) return {0, bad};
    if (!claim(empty)) return {0, gup_error::busy};
    gup_result done{0, gup_error::limit_exceeded};
    if (owner_.charge(nr_pages)) {
      done = detail::walk<hold::pin, Space>(space, flags, pages).run(start, nr_pages, fast);
      owner_.uncharge(nr_pages - done.count);
    }
    pages_ = pages;
    count_ = done.count;
    publish(count_ != 0 ? held : empty);
    return done;
  }

  gup_result release(std::uint32_t from, gup_result (owned_pins::*how)() noexcept) noexcept {
    if (!claim(from)) return {};
    const gup_result done = (this->*how)();
    publish(empty);
    return done;
  }

  gup_result drop() noexcept { return dropped(pinref::unpin_user_pages(pages_, count_)); }
  gup_result drop_dirty() noexcept { return dropped(pinref::unpin_user_pages_dirty_lock(pages_, count_, true)); }
  gup_result dropped(const gup_result& done) noexcept {
    owner_.uncharge(count_);
    count_ = 0;
    return done;
  }

  // Releases every run that needs no lock or gets it; the rest moves to the front of the array.
  std::size_t release_unlocked() noexcept {
    gup_result done;
    std::size_t kept = 0;
    for (std::size_t i = 0, end = 0; i != count_; i = end) {
      end = i + 1;
      if (pages_[i] == nullptr) continue;
      Page& head = pinref::compound_head(*pages_[i]);
      while (end != count_ && pages_[end] != nullptr && &pinref::compound_head(*pages_[end]) == &head) ++end;
      if (mark_dirty_unlocked(head))
        detail::drop_run<hold::pin>(head, end - i, done, detail::site_of<Page>::current());
      else
        for (std::size_t k = i; k != end; ++k) pages_[kept++] = pages_[k];
    }
    count_ = kept;
    return done.count;
  }

  [[nodiscard]] static bool mark_dirty_unlocked(Page& head) noexcept {
    if (pinref::page_immortal(head) || traits::dirty(head)) return true;
    if (!traits::try_lock(head)) return false;
    if (!traits::dirty(head)) traits::set_dirty(head);
    traits::unlock(head);
    return true;
  }

  owner_type& owner_;
  owned_pins* next_ = nullptr;      // of the owner's requests, under its lock
  owned_pins* previous_ = nullptr;  // likewise
  Page** pages_ = nullptr;
  std::size_t count_ = 0;
  typename owner_type::template atomic<std::uint32_t> state_{empty};
};

}  // namespace pinref
