// What report.json says of trust: its keys, that it reads back, and that a forged one is refused with one clear error.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "report/made_studies.h"

namespace finetune::testing {
namespace {

using nlohmann::ordered_json;

TEST(JsonTrust, HasTheFieldsOfTheContract) {
  const auto json = report_json(made_trust());
  EXPECT_EQ(json["confirmation"], "confirmed with 2 more seeds");
  ASSERT_EQ(json["confirmed"].size(), 3u);
  for (const char* key : {"trial", "metrics", "mean", "standard_error"})
    EXPECT_TRUE(json["confirmed"][0].contains(key)) << key;
  EXPECT_EQ(json["confirmed"][0]["metrics"].size(), 2u);
  for (const char* key : {"best", "default", "base"}) EXPECT_TRUE(json["test"][key].is_number()) << key;
  EXPECT_EQ(json["audit"], (ordered_json{{"trials", 4}, {"would_have_won", 1}}));
  EXPECT_EQ(json["study"]["test_files"], ordered_json{"held.jsonl"});
  ASSERT_EQ(json["comparisons"].size(), 2u);
  EXPECT_TRUE(json["comparisons"][1]["other"].is_null()) << "the default configuration";
  EXPECT_FALSE(json.contains("judged"));
}

TEST(JsonTrust, ReadsBackAsItWas) {
  const ReportFacts made = made_trust();
  const auto json = report_json(made);
  const ReportFacts again = facts_from_json("f", ordered_json::parse(json.dump()));
  for (const char* key : {"confirmation", "confirmed", "comparisons", "test", "audit", "rung_metric", "rung_agreement",
                          "guarded_levels", "ablation", "samples", "hints", "cost"}) {
    ASSERT_TRUE(json.contains(key)) << key;
    EXPECT_EQ(report_json(again)[key], json[key]) << key;
  }
  EXPECT_EQ(again.test_files, made.test_files);
  EXPECT_EQ(again.rung_agreement->early, made.rung_agreement->early);
}

// As `report DIR` does it: the examples' figures are gone, the curves lie in the run's folder.
TEST(JsonTrust, WrittenAgainItIsTheSame) {
  for (auto& [name, made] : made_studies()) {
    made.seconds = 1000.125, made.evaluation_seconds = 900.1;
    if (!made.samples.empty()) made.samples[0].best = "caf\xc3";
    analyze(made);
    ReportFacts again = facts_from_json("f", ordered_json::parse(report_json(made).dump()));
    for (std::size_t i = 0; i < made.trials.size(); ++i) {
      again.trials[i].train_loss = made.trials[i].train_loss;
      again.trials[i].metrics = made.trials[i].metrics;
      again.trials[i].compared = made.trials[i].compared;
      again.trials[i].part_losses = made.trials[i].part_losses;
    }
    again.folder = made.folder, again.best_weights = made.best_weights;
    again.has_best_yaml = made.has_best_yaml, again.can_resume = made.can_resume;
    analyze(again);
    EXPECT_EQ(report_json(again).dump(), report_json(made).dump()) << name;
    EXPECT_EQ(report_markdown(again), report_markdown(made)) << name;
    EXPECT_TRUE(report_html(again) == report_html(made)) << name;
    EXPECT_EQ(report_text(again), report_text(made)) << name;
  }
}

TEST(JsonTrust, KeysAreAbsentWhereThereIsNothing) {
  const auto json = report_json({});
  for (const char* key : {"confirmation", "confirmed", "comparisons", "test", "audit", "rung_metric", "rung_agreement",
                          "guarded_levels", "ablation", "samples", "hints"})
    EXPECT_FALSE(json.contains(key)) << key;
  EXPECT_FALSE(json["study"].contains("test_files"));
}

// A study that was gone on with took another time, and its report is the same but for the seconds under `cost`.
TEST(JsonTrust, WhatAClockMeasuredStandsUnderCostAlone) {
  ReportFacts slow = made_trust(), quick = made_trust();
  slow.seconds = 1000, slow.evaluation_seconds = 900;
  quick.seconds = 1, quick.evaluation_seconds = 0.1;
  EXPECT_NE(report_text(slow).find("Most of the time went into evaluation"), std::string::npos);
  for (ReportFacts* study : {&slow, &quick}) analyze(*study);
  auto a = report_json(slow), b = report_json(quick);
  EXPECT_EQ(a["cost"].erase("evaluation_seconds"), 1u);
  EXPECT_EQ(b["cost"].erase("evaluation_seconds"), 1u);
  EXPECT_EQ(a["cost"].erase("seconds"), 1u);
  EXPECT_EQ(b["cost"].erase("seconds"), 1u);
  EXPECT_EQ(a, b);
}

TEST(JsonTrust, FailedRunsAreNull) {
  ReportFacts study = made_trust();
  study.test->default_run.reset();
  study.confirmed[0].standard_error.reset();
  study.ablation[1].metric.reset();
  const auto json = report_json(study);
  EXPECT_TRUE(json["test"]["default"].is_null());
  EXPECT_TRUE(json["confirmed"][0]["standard_error"].is_null());
  EXPECT_TRUE(json["ablation"][1]["metric"].is_null());
  EXPECT_FALSE(facts_from_json("f", json).test->default_run);
}

// A model stops where it stops, be it within a character.
TEST(JsonTrust, HoldsHalvesOfCharacters) {
  ReportFacts study = made_trust();
  study.samples[0].best = "caf\xc3";
  analyze(study);
  EXPECT_EQ(ordered_json::parse(report_json(study).dump())["samples"][0]["best"], "caf\xef\xbf\xbd");
}

TEST(JsonTrust, RefusesWhatIsForged) {
  const auto json = report_json(made_trust());
  const auto refused = [&](const std::string& pointer, const ordered_json& value) {
    auto forged = json;
    forged[ordered_json::json_pointer(pointer)] = value;
    try {
      facts_from_json("runs/x/report.json", forged);
      ADD_FAILURE() << pointer << " = " << value;
    } catch (const Error& error) {
      EXPECT_EQ(error.where(), "runs/x/report.json");
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  };
  refused("/confirmation", 5);
  refused("/confirmed", 5);
  refused("/confirmed/0", "x");
  refused("/confirmed/0/trial", 1.5);
  refused("/confirmed/0/trial", 18446744073709551615u);
  refused("/confirmed/0/metrics/0", "much");
  refused("/confirmed/0/metrics", ordered_json::object());
  refused("/confirmed/0/mean", nullptr);
  refused("/confirmed/0/standard_error", -0.1);
  refused("/comparisons/0/low", "nan");
  refused("/comparisons/0/low", 7);
  refused("/comparisons/0/examples", 0);
  refused("/comparisons/0/other", "3");
  refused("/test", {1, 2, 3});
  refused("/test/best", "good");
  refused("/audit/trials", -1);
  refused("/audit/would_have_won", 5);
  refused("/rung_metric", {});
  refused("/rung_agreement/spearman", 1.5);
  refused("/rung_agreement/spearman", "nan");
  refused("/rung_agreement/trials", -3);
  refused("/guarded_levels/0", "ten");
  refused("/ablation/1/value", nullptr);
  refused("/ablation/0/parameter", 3);
  refused("/samples/0/prompt", nullptr);
  refused("/samples", "none");
  refused("/hints/0", "x");
}

}  // namespace
}  // namespace finetune::testing
