#pragma once

/// \file
/// Why a take or a release ended as it did.
///
/// When not to use it: as a bool. There is no conversion, because two different failures must not look alike.
///
/// Example:
///
///     if (ref.try_get() == pinref::take_result::taken) use(page);

namespace pinref {

/// The outcome of taking references or pins.
enum class take_result : unsigned char {
  taken,     ///< held: the page stays until the matching release
  dead,      ///< nothing taken: the page is free or frozen; look it up again
  overflow,  ///< nothing taken: the word cannot count that many holders, or n is above the limit of one bulk take
};

/// The outcome of releasing references or pins.
enum class release_result : unsigned char {
  released,   ///< others hold the page, or somebody else is freeing it: do not touch it again
  idle,       ///< the count fell to the idle level asked for: nobody but the owner holds the page
  last,       ///< the caller alone frees the page; the word is dead and what to free comes from the page itself
  underflow,  ///< nothing released: more than is held, or n is above the limit of one bulk release; a bug
};

/// The outcome of a wait.
enum class wait_result : unsigned char {
  reached,    ///< the page was as asked for, at some instant
  timed_out,  ///< it was not before the deadline
  given_up,   ///< somebody cancelled the wait
};

}  // namespace pinref
