// The table of metrics: every row is what its name says, and a model that gives no numbers is never good.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/metric.h"

namespace finetune::testing {
namespace {

TEST(Metrics, ValuesByHand) {
  const EvalResult result{.loss = std::log(4.0), .token_accuracy = 0.75};
  EXPECT_EQ(metric_named("valid_loss").of(result), std::log(4.0));
  EXPECT_NEAR(metric_named("perplexity").of(result), 4, 1e-14);
  EXPECT_EQ(metric_named("token_accuracy").of(result), 0.75);
}

TEST(Metrics, BetterModelsAreBetterInTheirDirection) {
  const EvalResult good{.loss = 1, .token_accuracy = 0.9}, bad{.loss = 2, .token_accuracy = 0.1};
  for (const Metric& metric : metrics())
    EXPECT_LT(to_minimized(metric.of(good), metric.direction), to_minimized(metric.of(bad), metric.direction))
        << metric.name;
}

TEST(Metrics, AModelThatGivesNoNumbersHasNone) {
  for (const Metric& metric : metrics()) {
    for (const double loss : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
      EXPECT_FALSE(std::isfinite(metric.of({.loss = loss, .token_accuracy = 0.5}))) << metric.name;
  }
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
