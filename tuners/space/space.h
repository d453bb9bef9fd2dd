// Search spaces: named parameters, conditional ones included, and the one encoding of a value to [0, 1].
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/random.h"
#include "core/value.h"

namespace finetune {

/// One parameter: a categorical (choices), an ordinal (choices in their order), or a range with both ends included.
struct ParameterSpec {
  std::string name;
  std::vector<Value> choices;  ///< not empty: categorical or ordinal
  double low = 0, high = 0;
  bool log = false, integer = false;
  std::optional<double> step;  ///< values are low + k x step up to high, which need not be one of them
  std::vector<std::pair<std::string, std::vector<Value>>> when;  ///< all must hold; each names an earlier parameter
  /// Made by make_ordinal: a range of whole numbers, the indices of `choices`, that shows the choices as its values.
  bool ordinal = false;

  bool categorical() const { return !choices.empty() && !ordinal; }
  /// Distance between neighbouring values: step, 1 for whole numbers, 0 for a continuum.
  double spacing() const { return step ? *step : integer ? 1.0 : 0.0; }
  /// How many values there are; nothing for a continuum.
  std::optional<std::int64_t> count() const;
};

/// An ordinal: low, high and integer are those of the indices.
ParameterSpec make_ordinal(std::string name, std::vector<Value> choices);

struct SearchSpace {
  std::vector<ParameterSpec> parameters;
  const ParameterSpec* find(const std::string& name) const;
};

/// True when every condition of `spec` holds for the values in `params`.
bool is_active(const ParameterSpec& spec, const Params& params);

/// Where `value` stands among the choices, in whatever notation it is written; nothing where it does not.
std::optional<std::size_t> choice_index(const ParameterSpec& spec, const Value& value);

/// The value at u in [0, 1): uniform over values (over logarithms with log); equal shares for discrete ones. A stepped
/// value is low + k x step as decimals (stepped_value), never outside [low, high].
Value value_at(const ParameterSpec& spec, double u);
/// The middle of what value_at maps onto `value`; values outside the range are clipped.
double position_of(const ParameterSpec& spec, const Value& value);

/// The number behind a value: itself, clipped to the range; of choices the index, NaN for one that there is not.
double number_of(const ParameterSpec& spec, const Value& value);
/// The number of a range or ordinal as a value of the parameter: clipped to the range, rounded to the nearest step or
/// whole number.
Value clip(const ParameterSpec& spec, double number);
/// position_of for a number, which need not be a value: halfway between two it is the border of their shares.
double position_at(const ParameterSpec& spec, double number);
/// The k-th value of a discrete parameter, k in [0, count).
Value nth_value(const ParameterSpec& spec, std::int64_t k);

/// The values at a point of the unit cube, a parameter an axis; axes of inactive parameters are passed over.
Params params_at(const SearchSpace& space, std::span<const double> point);

/// Independent uniform draws of all active parameters, in the space's order.
Params sample_uniform(const SearchSpace& space, Random& random);

/// Throws Error (bad_input, naming search.NAME) for an empty or impossible space.
void validate(const SearchSpace& space);

}  // namespace finetune
