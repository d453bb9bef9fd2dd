// The table of metrics: every row is what its name says, and a model that gives no numbers is never good.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/metric.h"

namespace finetune::testing {
namespace {

std::vector<Metric> loss_metrics() {
  std::vector<Metric> of_losses;
  for (const Metric& metric : metrics()) {
    if (metric.source == MetricSource::loss) of_losses.push_back(metric);
  }
  return of_losses;
}

double loss_value(const char* name, const EvalResult& result) {
  return value_of(metric_named(name), result).value();
}

TEST(Metrics, ValuesByHand) {
  const EvalResult result{.loss = std::log(4.0), .token_accuracy = 0.75, .bits_per_byte = 0.5};
  EXPECT_EQ(loss_value("valid_loss", result), std::log(4.0));
  EXPECT_NEAR(loss_value("perplexity", result), 4, 1e-14);
  EXPECT_EQ(loss_value("token_accuracy", result), 0.75);
  EXPECT_EQ(loss_value("bits_per_byte", result), 0.5);
}

TEST(Metrics, BetterModelsAreBetterInTheirDirection) {
  const EvalResult good{.loss = 1, .token_accuracy = 0.9, .bits_per_byte = 1},
      bad{.loss = 2, .token_accuracy = 0.1, .bits_per_byte = 2};
  for (const Metric& metric : loss_metrics())
    EXPECT_LT(to_minimized(*value_of(metric, good), metric.direction),
              to_minimized(*value_of(metric, bad), metric.direction))
        << metric.name;
}

TEST(Metrics, AModelThatGivesNoNumbersHasNone) {
  for (const Metric& metric : loss_metrics()) {
    for (const double loss : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
      const EvalResult result{.loss = loss, .token_accuracy = 0.5, .bits_per_byte = loss};
      EXPECT_FALSE(std::isfinite(*value_of(metric, result))) << metric.name;
    }
  }
}

TEST(Metrics, AnEvaluatorsMetricIsThereOnlyWhereItWasMeasured) {
  EvalResult result{.loss = 1, .task = {{"exact_match", 0.25}}};
  EXPECT_EQ(value_of(metric_named("exact_match"), result), 0.25);
  EXPECT_EQ(value_of(metric_named("macro_f1"), result), std::nullopt);
  const std::vector<Metric> wanted{metric_named("exact_match"), metric_named("macro_f1"), metric_named("valid_loss")};
  const std::vector<std::pair<std::string, double>> logged{{"valid_loss", 1}, {"exact_match", 0.25}};
  EXPECT_EQ(logged_values(wanted, result), logged);
}

// Per metric the sums that make it, so that the whole is the same value as from the parts.
TEST(Metrics, AreMadeOfTheirExamples) {
  const std::vector<ExampleFigure> examples{{1.5, 3}, {0.5, 1}, {4, 4}};
  EXPECT_EQ(metric_named("valid_loss").over(examples), 6.0 / 8);
  EXPECT_EQ(metric_named("perplexity").over(examples), std::exp(6.0 / 8));
  EXPECT_NEAR(metric_named("bits_per_byte").over(examples), 6.0 / 8 / std::log(2.0), 1e-15);
  EXPECT_EQ(metric_named("exact_match").over(std::vector<ExampleFigure>{{1, 1}, {0, 1}, {1, 1}, {1, 1}}), 0.75);
}

// sklearn.metrics.f1_score([0,0,1,1,2,2,2,0], [0,1,1,1,2,0,2,3], average="macro", zero_division=0) = 0.5
TEST(Metrics, MacroF1IsScikitLearns) {
  const std::vector<double> truth{0, 0, 1, 1, 2, 2, 2, 0}, guess{0, 1, 1, 1, 2, 0, 2, 3};
  std::vector<ExampleFigure> examples;
  for (std::size_t i = 0; i < truth.size(); ++i) examples.push_back({guess[i], truth[i]});
  EXPECT_NEAR(metric_named("macro_f1").over(examples), 0.5, 1e-15);
}

TEST(Metrics, AreFoundByNameAndAnUnknownOneListsThem) {
  for (const Metric& metric : metrics()) EXPECT_EQ(&metric_named(metric.name), &metric);
  try {
    metric_named("token_acuracy");
    ADD_FAILURE();
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("did you mean token_accuracy"), std::string::npos) << text;
    for (const std::string& name : metric_names()) EXPECT_NE(text.find(name), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace finetune::testing
