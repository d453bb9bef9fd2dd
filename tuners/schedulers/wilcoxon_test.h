// The Wilcoxon signed-rank test, and when it is worth asking again.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace finetune {

class WilcoxonTest {
 public:
  /// The p value of "the differences tend to be above zero" (Wilcoxon, 1945). Differences of zero are ranked with the
  /// others and their ranks shared between both sides ("zsplit"); ties get mean ranks. Up to 50 differences without
  /// ties and zeros the distribution is exact, else normal with the correction for ties: what
  /// scipy.stats.wilcoxon(differences, zero_method="zsplit", alternative="greater") gives. 1 for no differences.
  double greater(std::span<const double> differences);

  /// How many more differences may come without the p value falling below `threshold`, whatever they are: at least so
  /// many. The negative ranks never sum to less when more come.
  std::int64_t idle(std::span<const double> differences, double threshold);

 private:
  struct SignedRanks {
    std::size_t count = 0;
    double positive = 0;  // sum of ranks of positive differences, half of the zeros'
    double ties = 0;      // sum of t^3 - t over groups of equal ranks
    double largest = 1;   // of these groups
    bool has_zeros = false;
  };
  static SignedRanks rank(std::span<const double> differences);
  static double normal_tail(double count, double positive, double ties);
  double exact_tail(std::size_t count, double sum);
  double p_value(const SignedRanks& ranks);
  double least_p_value(const SignedRanks& ranks, std::size_t more);

  std::vector<std::vector<double>> shares_;  // by n: of the 2^n sign patterns, by the sum of their positive ranks
};

}  // namespace finetune
