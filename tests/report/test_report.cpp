// Reports: the fields of report.json, and a page that needs nothing else and lets no text of the user through as
// markup.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/metric.h"
#include "report/failures.h"
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
    trial.metrics = {{9, *trial.metric}};
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
  compare_parameters(study);
  return study;
}

TEST(Verdict, SaysWhenTrainingHelpedNobody) {
  StudySummary made = study();
  EXPECT_EQ(verdict(made).find("did not improve"), std::string::npos) << verdict(made);
  made.base_metric = 1.5;
  made.default_metric = 1.75;
  EXPECT_NE(verdict(made).find("The untouched base has 1.5. Training did not improve it"), std::string::npos)
      << verdict(made);
  EXPECT_EQ(verdict(made).find("use the defaults"), std::string::npos) << verdict(made);
  made.base_metric = 3.5;
  made.trials[0].metric = 1.75;
  made.default_metric = 0.1;
  made.direction = Direction::maximize;
  made.base_metric = 0.05;
  EXPECT_NE(verdict(made).find("the best is 1650 % above"), std::string::npos) << verdict(made);
}

// Six trials of rates 0.5, 1.5 ... of which the first `diverged` failed in their third step, and the next `starved` had
// no memory.
StudySummary failing(std::size_t diverged, std::size_t starved) {
  StudySummary study;
  for (std::int64_t id = 0; id < 6; ++id) {
    TrialSummary trial{
        .id = id, .params = {{"train.learning_rate", 0.5 + static_cast<double>(id)}}, .state = "completed"};
    trial.metric = 1;
    study.trials.push_back(trial);
  }
  for (std::size_t i = 0; i < diverged + starved; ++i) {
    TrialSummary& trial = study.trials[i];
    trial.state = "failed";
    trial.metric.reset();
    trial.steps = 3;
    trial.reason = i < diverged ? "loss is nan at step 3" : "out of memory with a batch of a single example at step 3";
  }
  if (diverged + starved < 6) study.best = 5;
  return study;
}

TEST(FailureHint, NamesTheRatesThatDiverged) {
  const std::string hint = failure_hint(failing(6, 0));
  EXPECT_EQ(hint,
            "loss is nan at step 3 (trial 0); their rates were 0.5 to 5.5, and 0.5 failed at step 3: lower "
            "search.train.learning_rate; 2e-05 to 0.002 is usual for LoRA");
  StudySummary full = failing(6, 0);
  full.full = true;
  EXPECT_NE(failure_hint(full).find("2e-06 to 0.0002 is usual for full fine-tuning"), std::string::npos);
  StudySummary fixed = failing(6, 0);
  for (auto& trial : fixed.trials) trial.params.clear();
  EXPECT_NE(failure_hint(fixed).find(": lower train.learning_rate; 2e-05"), std::string::npos) << failure_hint(fixed);
  StudySummary usual = failing(6, 0);
  usual.trials[3].params = {{"train.learning_rate", 1e-4}};
  usual.trials[3].steps = 7;
  EXPECT_NE(failure_hint(usual).find("and 0.0001 failed at step 7: lower search.train.learning_rate, or lengthen"),
            std::string::npos)
      << failure_hint(usual) << ": a rate that is usual is not the whole story";
}

TEST(FailureHint, IsGivenWhereMoreThanHalfFailed) {
  EXPECT_EQ(failure_hint(failing(0, 0)), "");
  EXPECT_EQ(failure_hint(failing(3, 0)), "") << "a search has to find where training ends";
  EXPECT_EQ(failure_hint(failing(3, 2)), "") << "neither was it for more than half";
  EXPECT_EQ(failure_hint(failing(4, 0)).find("4 of 6 trials diverged: loss is nan at step 3 (trial 0); their rates"),
            0u)
      << failure_hint(failing(4, 0));
  EXPECT_EQ(failure_hint(failing(1, 4)),
            "4 of 6 trials found no memory: out of memory with a batch of a single example at step 3 (trial 1): lower "
            "data.max_length, train.lora.rank or tune.concurrent");
}

TEST(FailureHint, WhereAllFailedSaysWhyWhateverItWas) {
  const std::string both = failure_hint(failing(2, 4));
  EXPECT_NE(both.find("2 of 6 trials diverged"), std::string::npos) << both;
  EXPECT_NE(both.find("4 of 6 trials found no memory"), std::string::npos) << both;
  StudySummary other = failing(6, 0);
  for (auto& trial : other.trials) trial.reason = "train.lora.targets: is wrong";
  EXPECT_EQ(failure_hint(other), "train.lora.targets: is wrong (trial 0)");
}

TEST(FailureHint, IsInEveryReport) {
  for (const auto& made : {failing(4, 0), failing(6, 0)}) {
    EXPECT_EQ(report_json(made)["hint"], failure_hint(made));
    for (const std::string& text : {report_markdown(made), report_html(made), report_text(made)})
      EXPECT_NE(text.find(failure_hint(made)), std::string::npos) << text;
  }
}

TEST(Verdict, SaysThatTheDefaultConfigurationFailed) {
  StudySummary made = study();
  made.default_metric.reset();
  made.default_failure = "out of memory";
  EXPECT_NE(verdict(made).find("The default configuration failed: out of memory."), std::string::npos) << verdict(made);
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

// Trials that a scheduler stopped early have not had the time to be good.
TEST(Importance, ComparesTrialsAtOneStep) {
  StudySummary study;
  for (std::int64_t id = 0; id < 8; ++id) {
    TrialSummary trial{.id = id, .state = id < 2 ? "completed" : "stopped"};
    trial.params = {{"a", id % 2}, {"b", id < 2}};
    trial.metrics = {{10, 5.0 + static_cast<double>(id % 2)}};
    if (id < 2) trial.metrics.push_back({100, 1.0});
    trial.metric = trial.metrics.back().value;
    study.trials.push_back(trial);
  }
  compare_parameters(study);
  EXPECT_EQ(study.compared_step, 10) << "only two of eight reached step 100";
  ASSERT_EQ(study.importance.size(), 2u);
  EXPECT_EQ(study.importance[0].first, "a");
  EXPECT_NEAR(study.importance[0].second, 1, 1e-12) << "at step 10 a alone makes the difference";
  EXPECT_NEAR(study.importance[1].second, 0, 1e-12) << "b says who was trained on, not what is better";
  EXPECT_NE(report_html(study).find("at step 10"), std::string::npos);
  EXPECT_NE(report_markdown(study).find("at step 10"), std::string::npos);
  for (std::size_t i = 2; i < 5; ++i) study.trials[i].metrics.push_back({100, 1.0});
  EXPECT_EQ(comparable_step(study.trials), 100) << "now more than half, and five, did";
  study.trials.resize(4);
  compare_parameters(study);
  EXPECT_EQ(study.compared_step, 0) << "four trials say nothing";
  EXPECT_TRUE(study.importance.empty());
}

// A trial at the good end must stay inside the plot, whichever end that is.
TEST(ReportHtml, TheBestPointIsNotClipped) {
  for (const Metric& metric : metrics()) {
    SCOPED_TRACE(metric.name);
    StudySummary study;
    study.metric = metric.name;
    study.direction = metric.direction;
    const double sign = metric.direction == Direction::minimize ? 1 : -1;
    for (std::int64_t id = 0; id < 20; ++id) {
      const double loss = id == 0 ? -1000 : id == 1 ? -900 : static_cast<double>(id);
      TrialSummary trial{.id = id, .state = "completed", .metric = sign * loss, .step = 5};
      trial.metrics = {{5, *trial.metric}};
      study.trials.push_back(trial);
    }
    study.best = 0;
    // The best of 20 is drawn elsewhere than the second; where both are clipped they meet at the border.
    const std::string html = report_html(study);
    const auto y_of = [&](const std::string& style) {
      const auto at = html.find("<circle class=\"" + style + "\"");
      return html.substr(html.find("cy=", at), 11);
    };
    EXPECT_NE(y_of("winner"), y_of("curve"));
  }
}

TEST(Verdict, AStudyInWhichEveryTrialFailedHasNoWinner) {
  StudySummary study;
  EXPECT_FALSE(all_failed(study)) << "nothing was started";
  study.trials = {{.id = 0, .state = "failed", .reason = "loss is nan at step 3"}, {.id = 1, .state = "failed"}};
  EXPECT_TRUE(all_failed(study));
  EXPECT_NE(verdict(study).find("loss is nan at step 3"), std::string::npos) << verdict(study);
  study.trials[1].state = "stopped";
  EXPECT_FALSE(all_failed(study));
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
