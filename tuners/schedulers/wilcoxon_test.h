// The Wilcoxon signed-rank test.
#pragma once

#include <span>

namespace finetune {

/// The p value of "the differences tend to be above zero" (Wilcoxon, 1945). Differences of zero are ranked with the
/// others and their ranks shared between both sides ("zsplit"); ties get mean ranks. Up to 50 differences without ties
/// and zeros the distribution is exact, else normal with the correction for ties: what
/// scipy.stats.wilcoxon(differences, zero_method="zsplit", alternative="greater") gives. 1 for no differences.
double wilcoxon_greater(std::span<const double> differences);

}  // namespace finetune
