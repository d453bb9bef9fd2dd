#include "models/generate/sampling.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/random.h"

namespace finetune {
namespace {

struct Candidate {
  double share;  // not normalised
  std::int32_t id;
};

bool likelier(const Candidate& a, const Candidate& b) {
  return a.share != b.share ? a.share > b.share : a.id < b.id;
}

std::vector<Candidate> candidates_of(std::span<const float> logits, double temperature, float largest) {
  std::vector<Candidate> all(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i)
    all[i] = {std::exp((static_cast<double>(logits[i]) - static_cast<double>(largest)) / temperature),
              static_cast<std::int32_t>(i)};
  return all;
}

double sum_of(const std::vector<Candidate>& all) {
  double sum = 0;
  for (const Candidate& one : all) sum += one.share;
  return sum;
}

void keep_top_k(std::vector<Candidate>& all, std::int64_t top_k) {
  if (top_k <= 0 || top_k >= std::ssize(all)) return;
  std::nth_element(all.begin(), all.begin() + (top_k - 1), all.end(), likelier);
  all.resize(static_cast<std::size_t>(top_k));
}

void keep_top_p(std::vector<Candidate>& all, double top_p) {
  if (top_p >= 1) return;
  // Those below this share have less than 1 - top_p together, so none of them is in: few are left to be sorted.
  const double sum = sum_of(all), least = sum * (1 - top_p) / static_cast<double>(all.size());
  std::erase_if(all, [=](const Candidate& one) { return one.share < least; });
  std::sort(all.begin(), all.end(), likelier);
  double reached = 0;
  std::size_t kept = 0;
  while (kept < all.size() && (kept == 0 || reached < top_p * sum)) reached += all[kept++].share;
  all.resize(kept);
}

}  // namespace

std::int32_t sample_token(std::span<const float> logits, const Sampling& sampling, std::uint64_t token) {
  const auto largest = std::max_element(logits.begin(), logits.end());
  if (sampling.temperature <= 0) return static_cast<std::int32_t>(largest - logits.begin());
  std::vector<Candidate> all = candidates_of(logits, sampling.temperature, *largest);
  keep_top_k(all, sampling.top_k);
  keep_top_p(all, sampling.top_p);
  Random random(sampling.seed, Purpose::decoding, sampling.stream);
  random.seek(2 * token);  // a uniform number is two words
  const double sum = sum_of(all);
  double left = random.uniform() * sum;
  if (!std::isfinite(sum)) return 0;
  for (const Candidate& one : all) {
    left -= one.share;
    if (left < 0) return one.id;
  }
  return std::max_element(all.begin(), all.end(), [](const auto& a, const auto& b) { return likelier(b, a); })->id;
}

}  // namespace finetune
