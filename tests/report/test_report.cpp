// Reports: the fields of report.json, and a page that needs nothing else and lets no text of the user through as
// markup.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "report/summary.h"

namespace finetune::testing {
namespace {

const std::string kEvil = "<script>alert(\"x\")</script>&|\n";

StudySummary study() {
  StudySummary study;
  study.model = study.train_data = study.valid_data = study.device = kEvil;
  for (std::int64_t id = 0; id < 6; ++id) {
    TrialSummary trial{.id = id, .state = "completed", .metric = 2.0 + 0.1 * static_cast<double>(id), .step = 9};
    trial.params = {{"train.learning_rate", 1e-4 * static_cast<double>(id + 1)}, {"train.schedule", kEvil}};
    trial.train_loss = {{1, 3.0}, {2, std::nan("")}, {3, 2.5}};
    trial.valid_loss = {{9, *trial.metric}};
    study.trials.push_back(trial);
  }
  study.trials[5].state = "failed";
  study.trials[5].reason = kEvil;
  study.trials[5].metric.reset();
  study.best = 0;
  study.base_metric = 3.5;
  study.default_metric = 0.1 + 0.2;
  study.seconds = 1.25;
  study.saved_steps = 7;
  study.importance = importance_of(study.trials);
  return study;
}

TEST(ReportJson, HasTheFieldsOfTheContract) {
  const auto json = report_json(study());
  EXPECT_EQ(json["best"]["trial"], 0);
  EXPECT_EQ(json["best"]["metric"], 2.0);
  EXPECT_EQ(json["best"]["step"], 9);
  EXPECT_EQ(json["best"]["params"]["train.learning_rate"], 1e-4);
  EXPECT_EQ(json["baselines"]["base"]["metric"], 3.5);
  EXPECT_EQ(json["baselines"]["default"]["metric"], 0.1 + 0.2);
  ASSERT_EQ(json["trials"].size(), 6u);
  for (const char* key : {"id", "params", "state", "reason", "metric", "step"}) {
    EXPECT_TRUE(json["trials"][5].contains(key)) << key;
  }
  EXPECT_TRUE(json["trials"][5]["metric"].is_null());
  for (const char* key : {"seconds", "steps", "tokens", "saved_steps"}) EXPECT_TRUE(json["cost"].contains(key)) << key;
}

TEST(ReportJson, ReadsBackAsItWas) {
  const auto json = report_json(study());
  EXPECT_EQ(report_json(summary_from_json("f", nlohmann::ordered_json::parse(json.dump()))), json);
  EXPECT_THROW(summary_from_json("f", nlohmann::ordered_json::parse(R"({"best":null})")), Error);
  EXPECT_THROW(summary_from_json("f", nlohmann::ordered_json::parse("[]")), Error);
}

TEST(ReportHtml, IsOneFileAndEscapesWhatTheUserWrote) {
  const std::string html = report_html(study());
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_NE(html.find("&lt;script&gt;"), std::string::npos);
  for (const char* outside : {"http:", "https:", "src=", "href=", "@import", "url("}) {
    EXPECT_EQ(html.find(outside), std::string::npos) << outside;
  }
  EXPECT_NE(html.find("<svg"), std::string::npos);
}

TEST(ReportHtml, ASingleEvaluationIsSeen) {
  const std::string html = report_html(study());
  EXPECT_NE(html.find("<circle class=\"curve\""), std::string::npos);
  EXPECT_NE(html.find("<circle class=\"winner\""), std::string::npos);
}

TEST(ReportMarkdown, KeepsItsTableWhole) {
  const std::string text = report_markdown(study());
  EXPECT_EQ(text.find("\"x\")</script>&|"), std::string::npos) << "a bar of the user's would open a cell";
}

}  // namespace
}  // namespace finetune::testing
