// SPDX-License-Identifier: MIT

#include <cstdint>

#include "all_pins.hpp"
#include "bodies.hpp"
#include "failure.hpp"
#include "input.hpp"
#include "layouts.hpp"
#include "pinref/observe/checked_ref.hpp"
#include "pinref/ref/page_ref.hpp"
#include "pinref/word/split_word.hpp"
#include "remember_misuse.hpp"
#include "word_model.hpp"

using pinref::misuse_kind;
using pinref::owner_ref;
using pinref::release_result;
using pinref::take_result;

namespace fuzz {
namespace {

using support::remember;

template <class Ref>
inline constexpr bool is_checked = false;
template <class Ref>
inline constexpr bool is_checked<pinref::checked_ref<Ref, remember>> = true;

template <class Ref>
inline constexpr bool is_accounted = false;
template <class Ref>
inline constexpr bool is_accounted<support::accounted<Ref>> = true;

template <class Ref>
concept has_host_bits = requires(const Ref& ref) {
  ref.host_bits();
};

template <class Ref>
class machine {
 public:
  machine(word_rules rules, input& choices) : rules_(rules), choices_(choices), model_(rules) {
    if constexpr (is_accounted<Ref>) before_ = support::all_pins.totals();
  }

  void run() {
    while (!choices_.empty()) {
      const std::size_t choice = choices_.byte(), what = choice & 15;
      const owner_ref owner = (choice >> 4 & 1) != 0 ? owner_ref::resident : owner_ref::counted;
      const number n = pick_n(choice >> 5);
      if (!has_host_bits<Ref> || what < 11 || what > 14 || choices_.once_in(2))
        step(what, owner, n);
      else
        step_with_bits(what, owner, n);
      compare();
    }
  }

 private:
  // Small numbers mostly, else the edges of what one call takes, or far more than it does.
  number pick_n(std::size_t range) {
    const std::size_t byte = choices_.byte();
    switch (range) {
      case 0:
      case 1:
      case 2:
        return byte % 20;
      case 3:
        return 1;
      case 4:
        return model_.most(false) + byte % 4 - 2;
      case 5:
        return model_.most(true) + byte % 4 - 1;
      case 6:
        return own(false);
      default:
        return byte % 16 == 15 ? ~number{0} >> byte / 16 : byte;
    }
  }

  void step(std::size_t what, owner_ref owner, number n) {
    switch (what) {
      case 0:
        begin_operation("get");
        if (misused_take(n, false, own(false) == 0 && own(true) == 0, misuse_kind::use_after_death,
                         [&] { return ref_.get(n); }))
          return;
        return expect(ref_.get(n), model_.take(n, false), "get");
      case 1:
      case 11:
        begin_operation("try_get");
        return expect(ref_.try_get(n), model_.take(n, false), "try_get");
      case 2:
        begin_operation("try_get_if_alive");
        return expect(ref_.try_get_if_alive(n), model_.take(n, false), "try_get_if_alive");
      case 3:
      case 12:
        begin_operation("put");
        if (misused_release(n, false, [&] { return ref_.put(n, owner); })) return;
        return expect(ref_.put(n, owner), model_.release(n, false, owner), "put");
      case 4:
        begin_operation("put_sole");
        if (misused_release(1, false, [&] { return ref_.put_sole(owner); })) return;
        return expect(ref_.put_sole(owner), model_.release(1, false, owner), "put_sole");
      case 5:
      case 13:
        begin_operation("try_pin");
        return expect(ref_.try_pin(n), model_.take(n, true), "try_pin");
      case 6:
        begin_operation("add_pin");
        if (misused_take(n, true, own(true) == 0, misuse_kind::add_pin_to_an_unpinned_page,
                         [&] { return ref_.add_pin(n); }))
          return;
        return expect(ref_.add_pin(n), model_.take(n, true), "add_pin");
      case 7:
      case 14:
        begin_operation("unpin");
        // The pins of a split word can no longer be told once a reference too many was put.
        if (!model_.pins_certain()) return;
        if (misused_release(n, true, [&] { return ref_.unpin(n, owner); })) return;
        return expect(ref_.unpin(n, owner), model_.release(n, true, owner), "unpin");
      case 8:
        begin_operation("freeze");
        if (misused_freeze(n, [&] { return ref_.freeze(n); })) return;
        // Only one's own references may be frozen. A sum cannot tell them from pins, the other words must not be asked.
        if (rules_.bias == 0 && n > own(false)) return;
        return expect(ref_.freeze(n), frozen(n), "freeze");
      case 15:
        begin_operation("bury");
        if (!model_.pins_certain()) return;
        ref_.bury();
        frozen_ = false;
        return model_.bury();
      case 9:
      case 10:
        begin_operation(what == 9 ? "unfreeze" : "init");
        return begin(what == 9, n);
      default:
        begin_operation("nothing");
    }
  }

  // The bits of the host, alone and with a release or a freeze. They outlive every life of the page.
  void step_with_bits(std::size_t what, owner_ref owner, number n) {
    if constexpr (has_host_bits<Ref>) {
      using word = typename Ref::layout::word_type;
      constexpr unsigned all = Ref::layout::zones::host_mask;
      const auto set = static_cast<unsigned>(choices_.byte()), clear = static_cast<unsigned>(choices_.byte());
      const auto narrow = [](unsigned bits) { return static_cast<word>(bits); };
      const pinref::host_change<word> change{.set = narrow(set & all), .clear = narrow(clear & all)};
      switch (what) {
        case 11:
          begin_operation("set_host_bits");
          expect(ref_.set_host_bits(narrow(set)), narrow(bits_), "set_host_bits");
          bits_ |= set & all;
          return;
        case 12:
          begin_operation("clear_host_bits");
          expect(ref_.clear_host_bits(narrow(clear)), narrow(bits_), "clear_host_bits");
          bits_ &= ~clear;
          return;
        case 13: {
          begin_operation("put_and_change");
          if (misused_release(n, false, [&] { return ref_.put_and_change(change, n, owner); })) return;
          const release_result wanted = model_.release(n, false, owner);
          if (n != 0 && wanted != release_result::underflow) bits_ = (bits_ & ~clear) | (set & all);
          return expect(ref_.put_and_change(change, n, owner), wanted, "put_and_change");
        }
        default: {
          begin_operation("freeze_if");
          const word mask = narrow(set & all), value = narrow(clear & all);
          if ((bits_ & mask) != value) return expect(ref_.freeze_if(n, mask, value), false, "freeze_if of other bits");
          const auto call = [&] { return ref_.freeze_if(n, mask, value); };
          if (misused_freeze(n, call)) return;
          return expect(call(), frozen(n), "freeze_if");
        }
      }
    }
  }

  bool frozen(number n) {
    const bool done = model_.freeze(n);
    if (done) frozen_ = true;
    return done;
  }

  void begin(bool unfreeze, number n) {
    if (n == 0 || n > static_cast<number>(rules_.limit)) n = 1;
    if (model_.alive()) {
      if constexpr (is_checked<Ref>) {
        const int before = support::misuses;
        unfreeze ? ref_.unfreeze(n) : ref_.init(n);
        expect(support::misuses, before + 1, "reports of a new life in an old one");
        expect(support::last_misuse.kind, misuse_kind::start_of_a_live_page, "the report");
      }
      return;
    }
    frozen_ ? ref_.unfreeze(n) : ref_.init(n);
    model_.begin(n);
    frozen_ = false;
  }

  // A checked word refuses what its documentation lists as misuse, reports it and changes nothing.
  template <class Call>
  bool misused_take(number n, bool pin, bool nothing_held, misuse_kind kind, Call call) {
    if (!is_checked<Ref> || n == 0 || n > model_.most(pin) || (model_.alive() && !nothing_held)) return false;
    const int before = support::misuses;
    expect(call(), take_result::dead, "a misused take");
    expect(support::misuses, before + 1, "reports of a misused take");
    expect(support::last_misuse.kind, kind, "the report");
    return true;
  }

  template <class Call>
  bool misused_freeze(number n, Call call) {
    if (!is_checked<Ref> || !word_model{model_}.freeze(n)) return false;
    if (n == own(false) && own(true) == 0) return false;
    const int before = support::misuses;
    expect(call(), false, "a misused freeze");
    expect(support::misuses, before + 1, "reports of a misused freeze");
    expect(support::last_misuse.kind, misuse_kind::freeze_of_a_pin, "the report");
    return true;
  }

  template <class Call>
  bool misused_release(number n, bool pin, Call call) {
    if constexpr (!is_checked<Ref>) return false;
    if (n <= own(pin)) return false;
    const int before = support::misuses;
    expect(call(), release_result::underflow, "a misused release");
    // More than one call takes the word refuses by itself.
    const bool too_many = n > model_.most(pin);
    expect(support::misuses, before + (too_many ? 0 : 1), "reports of a misused release");
    if (too_many) return true;
    expect(support::last_misuse.kind,
           own(!pin) != 0  ? pin ? misuse_kind::unpin_of_a_reference : misuse_kind::put_of_a_pin
           : own(pin) != 0 ? misuse_kind::over_release
                           : misuse_kind::use_after_death,
           "the report");
    return true;
  }

  // What this word's holders hold; less than nothing where a word without books let them release too much.
  [[nodiscard]] number own(bool pin) const {
    const long long held = pin ? model_.own_pins() : model_.own_references();
    return model_.alive() && held > 0 ? static_cast<number>(held) : 0;
  }

  void compare() {
    const auto seen = ref_.snapshot();
    const bool exclusive = seen.zone() == pinref::zone::frozen;
    expect(exclusive || seen.zone() == pinref::zone::dead, !model_.alive(), "dead or frozen");
    expect(exclusive, frozen_, "frozen");
    if (model_.pins_certain()) {
      if (!beyond_signed()) expect(static_cast<long long>(seen.references()), model_.references(), "references");
      expect(static_cast<long long>(seen.pins()), model_.pins(), "pins");
      expect(ref_.dma_pinned_hint(), model_.pins() != 0, "dma_pinned_hint");
      if (model_.alive()) expect(ref_.dma_pinned(), model_.pins() != 0, "dma_pinned");
      if (!beyond_signed()) expect(static_cast<long long>(ref_.references()), model_.references(), "references()");
      expect(static_cast<long long>(ref_.pins()), model_.pins(), "pins()");
    }
    if constexpr (has_host_bits<Ref>) {
      expect(static_cast<unsigned>(ref_.host_bits()), bits_, "host_bits");
      expect(static_cast<unsigned>(seen.host()), bits_, "host_bits of a snapshot");
    }
    if (model_.alive() && model_.honest()) promises();
    if constexpr (is_checked<Ref>) expect(model_.honest(), true, "every misuse refused");
    if constexpr (is_accounted<Ref>) {
      const pinref::pin_totals now = support::all_pins.totals();
      expect(now.acquired - before_.acquired, model_.acquired(), "pins acquired");
      if (model_.pins_certain()) expect(now.released - before_.released, model_.released(), "pins released");
    }
  }

  // A full word of references alone counts one more than its signed type can say.
  [[nodiscard]] bool beyond_signed() const { return model_.references() == rules_.limit; }

  // What holds while everybody released only what he held, from the takes and releases themselves.
  void promises() {
    if (model_.own_pins() != 0) expect(ref_.dma_pinned(), true, "a pinned page");
    if (rules_.exact && (rules_.bias == 0 || model_.own_references() < rules_.bias / 2)) {
      expect(static_cast<long long>(ref_.pins()), model_.own_pins(), "exact pins");
      if (!beyond_signed())
        expect(static_cast<long long>(ref_.references()), model_.own_references(), "exact references");
    }
    if (!rules_.exact && model_.own_references() < rules_.bias && model_.own_pins() == 0)
      expect(ref_.dma_pinned(), false, "a page with few references and no pin");
  }

  word_rules rules_;
  input& choices_;
  Ref ref_;
  word_model model_;
  bool frozen_ = false;
  unsigned bits_ = 0;  // of the host
  pinref::pin_totals before_;
};

template <class Layout>
void run_layout(word_rules rules, std::size_t wrapper, input& choices) {
  using ref = pinref::page_ref<Layout>;
  switch (wrapper) {
    case 0:
      return machine<ref>(rules, choices).run();
    case 1:
      return machine<pinref::checked_ref<ref, remember>>(rules, choices).run();
    default:
      return machine<support::accounted<ref>>(rules, choices).run();
  }
}

}  // namespace

void run_word(std::span<const std::uint8_t> bytes) {
  current = bytes;
  input choices(bytes);
  const std::size_t choice = choices.byte();
  const std::size_t wrapper = choice / 4 % 3;
  if (choice >= 204)
    return run_layout<pinref::bias_layout<std::uint16_t, 7, 7, 2>>(bias16_host_rules, wrapper, choices);
  switch (choice % 4) {
    case 0:
      return run_layout<support::bias8>(bias8_rules, wrapper, choices);
    case 1:
      return run_layout<support::bias16_exact>(bias16_exact_rules, wrapper, choices);
    case 2:
      return run_layout<support::split8>(split8_rules, wrapper, choices);
    default:
      return run_layout<pinref::bias32>(bias32_rules, wrapper, choices);
  }
}

}  // namespace fuzz
