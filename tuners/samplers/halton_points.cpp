#include "tuners/samplers/halton_points.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"

namespace finetune {
namespace {

std::vector<std::uint64_t> first_primes(std::size_t count) {
  std::vector<std::uint64_t> primes;
  for (std::uint64_t n = 2; primes.size() < count; ++n) {
    if (std::none_of(primes.begin(), primes.end(), [n](std::uint64_t p) { return n % p == 0; })) primes.push_back(n);
  }
  return primes;
}

// Digits that a double in [0, 1) can hold; leading zeros of the index are permuted like any other digit.
std::size_t digits(std::uint64_t base) {
  return static_cast<std::size_t>(std::ceil(53 / std::log2(static_cast<double>(base))));
}

}  // namespace

ScrambledHalton::ScrambledHalton(std::size_t dimensions, std::uint64_t seed) {
  for (const std::uint64_t base : first_primes(dimensions)) {
    Axis axis{base, {}};
    for (std::uint64_t digit = 0; digit < digits(base); ++digit) {
      const Random random(seed, Purpose::sampler, base << 8 | digit);
      axis.permutations.push_back(permutation(static_cast<std::int64_t>(base), random));
    }
    axes_.push_back(std::move(axis));
  }
}

std::vector<double> ScrambledHalton::point(std::uint64_t index) const {
  std::vector<double> point;
  for (const Axis& axis : axes_) {
    double x = 0, place = 1;
    std::uint64_t rest = index;
    for (const auto& permuted : axis.permutations) {
      place /= static_cast<double>(axis.base);
      x += static_cast<double>(permuted[rest % axis.base]) * place;
      rest /= axis.base;
    }
    point.push_back(std::min(x, std::nextafter(1.0, 0.0)));  // the sum may round up to 1
  }
  return point;
}

}  // namespace finetune
