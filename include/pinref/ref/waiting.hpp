#pragma once

/// \file
/// wait_ticket: what a waiter sleeps on; and the loop that sleeps on it.
///
/// A word that is waited on gives out tickets: it is marked, and here are the futexes with the values they had. Whoever
/// takes the mark away changes the first of them and wakes. An executor awaits the futexes in its own way, as io_uring
/// can, and then asks for the next ticket; when it gives up it takes the mark away (`abandon_wait`), which wakes the
/// other waiters to mark again.
///
/// When not to use it: to sleep in a thread. The waits of page_ref do that.
///
/// Example:
///
///     auto ticket = ref.prepare_wait_until_unpinned();
///     if (!ticket.reached) executor.await(ticket, [&] { look_again(); });
///
/// Source: Linux futex(2), futex_waitv(2).

#include <cstdint>

#include "pinref/ref/deadline.hpp"
#include "pinref/ref/sync.hpp"
#include "pinref/ref/wait_canceller.hpp"
#include "pinref/word/result.hpp"

namespace pinref {

/// What a waiter has to do next.
template <class Sync>
struct wait_ticket {
  static constexpr bool process_shared = Sync::process_shared;

  bool reached = false;                  ///< nothing: the page is as asked for
  unsigned nr_futexes = 0;               ///< sleep while all of these have the values seen, compared in this order
  typename Sync::futex futexes[2] = {};  ///< process_shared or not
  /// Look again after so many nanoseconds at the latest: without end, or because no wake-up may come.
  std::int64_t look_again = INT64_MAX;

  void add(const typename Sync::futex& futex) noexcept { futexes[nr_futexes++] = futex; }
};

namespace detail {

/// One wait of one thread.
template <class Sync, class Canceller>
class waiter {
 public:
  waiter(const deadline& until, const Canceller& stop) noexcept : until_(until), stop_(stop) {}

  /// Why the wait is over before there was a sleep; `reached` if it is not.
  [[nodiscard]] wait_result over() const noexcept {
    if (stop_.cancelled()) return wait_result::given_up;
    return !until_.is_never() && until_.left() <= 0 ? wait_result::timed_out : wait_result::reached;
  }

  /// Sleeps on the ticket. Afterwards as over().
  [[nodiscard]] wait_result sleep(const wait_ticket<Sync>& on) noexcept {
    // Under traffic the word never has the value that was seen, or every release wakes for the next one to mark it:
    // then time has to pass, or this would be a spin.
    const bool restless = looks_in_vain_ == patience;
    looks_in_vain_ = restless ? 0 : looks_in_vain_ + 1;
    typename Sync::futex futexes[3] = {};
    unsigned n = 0;
    if (!restless)
      for (; n != on.nr_futexes; ++n) futexes[n] = on.futexes[n];
    if constexpr (requires { stop_.futex(); }) futexes[n++] = stop_.futex();
    const sleep_result slept = Sync::wait(futexes, n, until_, restless ? poll_interval : on.look_again);
    if (stop_.cancelled()) return wait_result::given_up;
    return slept == sleep_result::timed_out ? wait_result::timed_out : wait_result::reached;
  }

 private:
  static constexpr unsigned patience = 4;

  const deadline& until_;
  const Canceller& stop_;
  unsigned looks_in_vain_ = 0;
};

}  // namespace detail

}  // namespace pinref
