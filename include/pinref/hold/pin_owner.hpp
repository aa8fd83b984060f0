#pragma once

/// \file
/// pin_owner and owned_pins: pins that know who asked for them.
///
/// An owner is a file, a queue pair, a connection, a tenant. It has a limit in pages, as RLIMIT_MEMLOCK limits a
/// process; a count of the pages it has pinned; and all its requests, so that what it still holds can be released when
/// it goes away. A request is an `owned_pins`: one pinned range and the place it is queued in. Nothing is allocated.
///
/// A completion handler that may not block releases with `unpin_dirty_deferred`: pages whose lock is taken stay pinned
/// on the owner's queue until somebody who may block calls `drain`.
///
/// When not to use it: for pins that live and die in one function. `pinned_range` needs no owner, and plain calls pay
/// nothing for owners.
///
/// Example:
///
///     pinref::pin_owner<frame, std::mutex> connection{1024};     // at most 1024 pages at a time
///     pinref::owned_pins request{connection};
///     frame* pages[16];
///     auto done = request.pin_user_pages_fast(space, start, 16, pinref::foll::write, pages);
///     // ... on completion, in a context that may not block:
///     request.unpin_dirty_deferred();
///     // ... later, where it may:
///     connection.drain();
///
/// Threads: a request is used by one thread at a time, except that the owner may release it at any moment: of a release
/// by the request and one by the owner exactly one does the work. `Lock` is any BasicLockable of the host; the owner
/// holds it to register and unregister requests, in unpin_all and in drain.
///
/// Source: the vaddr_pin proposal for Linux (pins tied to a file), RLIMIT_MEMLOCK, bio_check_pages_dirty().

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "pinref/gup/gup.hpp"
#include "pinref/gup/release.hpp"

namespace pinref {

template <host_page Page, class Lock>
class owned_pins;

/// Who pins are counted against. Must outlive its requests.
template <host_page Page, class Lock>
class pin_owner {
 public:
  static constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

  explicit pin_owner(std::size_t limit = no_limit) noexcept : limit_(limit) {}
  pin_owner(const pin_owner&) = delete;
  pin_owner& operator=(const pin_owner&) = delete;

  /// Pages it may have pinned at a time.
  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
  /// Pages it has pinned, or is about to.
  [[nodiscard]] std::size_t live() const noexcept { return live_.load(std::memory_order_relaxed); }

  /// Releases every pin the owner still holds, but for what was put off. A request that is being pinned or released by
  /// its own thread at this moment is left to it: whoever takes an owner away stops new requests first.
  gup_result unpin_all() noexcept {
    return for_each_request([](owned_pins<Page, Lock>& each) { return each.unpin(); });
  }
  /// As unpin_all, marked dirty first, and drained. May block.
  gup_result unpin_all_dirty_lock() noexcept {
    gup_result all = for_each_request([](owned_pins<Page, Lock>& each) { return each.unpin_dirty_lock(); });
    all.count += drain();
    return all;
  }

  /// Releases, marked dirty, what unpin_dirty_deferred has put off. Returns the pages released. May block.
  std::size_t drain() noexcept {
    const guard held{lock_};
    // (O2) pairs with (O1): the request is seen as its completion handler left it.
    owned_pins<Page, Lock>* each = deferred_.exchange(nullptr, std::memory_order_acquire);
    std::size_t released = 0;
    while (each != nullptr) {
      owned_pins<Page, Lock>* const next = each->next_deferred_;
      released += each->finish_deferred();
      each = next;
    }
    return released;
  }

 private:
  friend class owned_pins<Page, Lock>;
  using sync = typename detail::ref_of<Page>::sync;
  template <class T>
  using atomic = typename sync::template atomic<T>;

  struct guard {
    explicit guard(Lock& lock) noexcept : lock_(lock) { lock_.lock(); }
    guard(const guard&) = delete;
    ~guard() { lock_.unlock(); }
    Lock& lock_;
  };

  template <class Call>
  gup_result for_each_request(Call call) noexcept {
    const guard held{lock_};
    gup_result all;
    for (owned_pins<Page, Lock>* each = requests_; each != nullptr; each = each->next_) {
      const gup_result done = call(*each);
      all.count += done.count;
      if (!done.ok()) all.reason = done.reason;
    }
    return all;
  }

  void defer(owned_pins<Page, Lock>& request) noexcept {
    request.state_.store(owned_pins<Page, Lock>::state::deferred, std::memory_order_relaxed);
    request.next_deferred_ = deferred_.load(std::memory_order_relaxed);
    // (O1) pairs with (O2): whoever drains sees the request as its completion handler left it.
    while (!deferred_.compare_exchange_weak(request.next_deferred_, &request, std::memory_order_release,
                                            std::memory_order_relaxed)) {
    }
  }

  // Adds and looks, like a take: the limit is never passed by pages that are then pinned.
  [[nodiscard]] bool charge(std::size_t n) noexcept {
    if (n > limit_) return false;
    const std::size_t old = live_.fetch_add(n, std::memory_order_relaxed);
    if (old <= limit_ - n) return true;
    uncharge(n);
    return false;
  }
  void uncharge(std::size_t n) noexcept { live_.fetch_sub(n, std::memory_order_relaxed); }

  const std::size_t limit_;
  atomic<std::size_t> live_{0};
  atomic<owned_pins<Page, Lock>*> deferred_{nullptr};
  owned_pins<Page, Lock>* requests_ = nullptr;  // under the lock
  Lock lock_;
};

/// One request of an owner: the pins of one call. Neither copied nor moved: its owner knows it by address.
template <host_page Page, class Lock>
class owned_pins {
 public:
  using owner_type = pin_owner<Page, Lock>;

  explicit owned_pins(owner_type& owner) noexcept : owner_(owner) {
    const typename owner_type::guard held{owner_.lock_};
    next_ = owner_.requests_;
    if (next_ != nullptr) next_->previous_ = this;
    owner_.requests_ = this;
  }
  owned_pins(const owned_pins&) = delete;
  owned_pins& operator=(const owned_pins&) = delete;
  /// Releases what is left without marking it; what was put off is drained, marked, which may block.
  ~owned_pins() {
    (void)unpin();
    if constexpr (trylockable_page<Page>)
      if (state_.load(std::memory_order_relaxed) == state::deferred) (void)owner_.drain();
    // The lock also waits for an owner that is releasing this request right now.
    const typename owner_type::guard held{owner_.lock_};
    (previous_ != nullptr ? previous_->next_ : owner_.requests_) = next_;
    if (next_ != nullptr) next_->previous_ = previous_;
  }

  /// As pinref::pin_user_pages, counted against the owner: limit_exceeded, before anything is pinned, if the range does
  /// not fit; busy if the request holds pins already. `pages` must stay until they are released.
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

  /// Releases the pins. The count is 0 if there are none, or if the owner was faster.
  gup_result unpin() noexcept {
    return release([this] { return pinref::unpin_user_pages(pages_, count_); });
  }
  /// As unpin, marked dirty first. May block.
  gup_result unpin_dirty_lock() noexcept {
    return release([this] { return pinref::unpin_user_pages_dirty_lock(pages_, count_, true); });
  }

  /// Releases the pins marked dirty and never blocks: a clean page whose lock is taken stays pinned until the owner's
  /// drain. Returns the pages released now. Request and array must stay until then;
  /// the array is reordered.
  std::size_t unpin_dirty_deferred() noexcept {
    static_assert(trylockable_page<Page>, "pinref: deferred release needs page_traits<Page>::try_lock(page)");
    if (!claim(state::held)) return 0;
    const std::size_t all = count_;
    const std::size_t released = release_unlocked();
    owner_.uncharge(all - count_);
    if (count_ == 0)
      publish(state::empty);
    else
      owner_.defer(*this);
    return released;
  }

 private:
  friend class pin_owner<Page, Lock>;
  using traits = page_traits<Page>;

  enum class state : std::uint8_t {
    empty,     // no pins
    held,      // pins, and nobody is releasing them
    claimed,   // one thread is pinning or releasing
    deferred,  // on the owner's queue
  };

  [[nodiscard]] bool claim(state from) noexcept {
    // (O3) pairs with (O4): the claimant sees the pages, or the emptiness, that the one before left.
    return state_.compare_exchange_strong(from, state::claimed, std::memory_order_acquire, std::memory_order_relaxed);
  }
  void publish(state to) noexcept {
    // (O4) pairs with (O3): whoever claims next sees the request as it is left here.
    state_.store(to, std::memory_order_release);
  }

  template <class Space>
  gup_result pin(Space& space, std::uintptr_t start, std::size_t nr_pages, foll flags, Page** pages,
                 bool fast) noexcept {
    const gup_error bad = detail::check_call<hold::pin>(space, start, nr_pages, flags, pages);
    if (bad != gup_error::none) return {0, bad};
    if (!claim(state::empty)) return {0, gup_error::busy};
    gup_result done{0, gup_error::limit_exceeded};
    if (owner_.charge(nr_pages)) {
      done = detail::walk<hold::pin, Space>(space, flags, pages).run(start, nr_pages, fast);
      owner_.uncharge(nr_pages - done.count);
    }
    pages_ = pages;
    count_ = done.count;
    publish(count_ != 0 ? state::held : state::empty);
    return done;
  }

  template <class Call>
  gup_result release(Call call) noexcept {
    if (!claim(state::held)) return {};
    const gup_result done = call();
    finish();
    return done;
  }

  void finish() noexcept {
    owner_.uncharge(count_);
    count_ = 0;
    publish(state::empty);
  }

  // Under the owner's lock, off the queue.
  std::size_t finish_deferred() noexcept {
    const gup_result done = pinref::unpin_user_pages_dirty_lock(pages_, count_, true);
    finish();
    return done.count;
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
  owned_pins* next_ = nullptr;           // of the owner's requests, under its lock
  owned_pins* previous_ = nullptr;       // likewise
  owned_pins* next_deferred_ = nullptr;  // of the owner's queue
  Page** pages_ = nullptr;               // pages_ and count_ belong to whoever claimed the state
  std::size_t count_ = 0;
  typename owner_type::template atomic<state> state_{state::empty};
};

}  // namespace pinref
