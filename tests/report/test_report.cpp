// Reports: what they say, the fields of report.json and the table of report.md. The page has test_page.cpp.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "report/facts.h"
#include "report/failures.h"
#include "report/made_studies.h"
#include "report/words.h"

namespace finetune::testing {
namespace {

const std::string kEvil = "<script>alert(\"x\")</script>&|\n";

ReportFacts study() {
  ReportFacts study;
  study.model = study.train_data = study.valid_data = study.device = kEvil;
  for (std::int64_t id = 0; id < 6; ++id) {
    TrialFacts trial{.id = id, .state = "completed", .metric = 2.0 + 0.1 * static_cast<double>(id), .step = 9};
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
  analyze(study);
  return study;
}

TEST(Verdict, ABaseThatIsItsOwnReferenceIsCalledSo) {
  ReportFacts made = study();
  made.base_metric = 0;
  for (const auto& [objective, metric, own] : {std::tuple{"dpo", "preference_accuracy", true},
                                               {"kto", "reward_margin", true},
                                               {"dpo", "valid_loss", false},
                                               {"orpo", "preference_accuracy", false},
                                               {"sft", "valid_loss", false}}) {
    made.objective = objective;
    made.metric = metric;
    const std::string expected =
        own ? "The untouched base has 0, being its own reference." : "The untouched base has 0.";
    EXPECT_NE(verdict(made).find(expected), std::string::npos) << objective << " " << verdict(made);
  }
}

TEST(NextSteps, ScoreOnAllFilesOfTheValidationData) {
  ReportFacts made = study();
  made.best_weights = BestWeights::adapter;
  const auto scored = [&] {
    for (const NextStep& step : next_steps(made))
      if (step.command.starts_with("finetune_tune eval")) return step.command + " # " + step.what;
    return std::string();
  };
  made.valid_files = {"a.jsonl", "b c.jsonl"};
  EXPECT_NE(scored().find("--data a.jsonl --data 'b c.jsonl' # score it on all of"), std::string::npos) << scored();
  made.valid_files.resize(5, "more.jsonl");
  EXPECT_NE(scored().find("--data a.jsonl # score it on the first file of"), std::string::npos) << scored();
}

TEST(NextSteps, RowsOfAProgramAreGivenAgainInPython) {
  ReportFacts made = study();
  made.folder = "runs/it's";
  made.best_weights = BestWeights::adapter;
  made.has_best_yaml = made.can_resume = true;
  made.train_files = {"memory:train.jsonl"};
  const auto all = [&] {
    std::string text;
    for (const NextStep& step : next_steps(made)) text += step.command + "\n";
    return text;
  };
  made.valid_files = {"memory:valid.jsonl"};
  EXPECT_NE(all().find(R"(finetune_tune.resume("runs/it's", data={"train": rows, "valid": rows}))"), std::string::npos);
  EXPECT_NE(all().find("finetune_tune.train(\"runs/it's/best.yaml\", data={\"train\": rows, \"valid\": rows}, "
                       "run={\"out\": \"runs/it's-again\"})\n"),
            std::string::npos);
  EXPECT_NE(all().find(" --data FILE\n"), std::string::npos);
  made.valid_files = {"dev.jsonl"};
  EXPECT_NE(all().find(R"(resume("runs/it's", data={"train": rows}))"), std::string::npos) << all();
  EXPECT_NE(all().find(" --data dev.jsonl\n"), std::string::npos) << all();
  made.valid_files.clear();  // a share of the rows
  for (const char* cannot_work : {"memory:", "finetune_tune train ", "finetune_tune resume "})
    EXPECT_EQ(all().find(cannot_work), std::string::npos) << all();
}

TEST(Verdict, SaysWhenTrainingHelpedNobody) {
  ReportFacts made = study();
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
ReportFacts failing(std::size_t diverged, std::size_t starved) {
  ReportFacts study;
  for (std::int64_t id = 0; id < 6; ++id) {
    TrialFacts trial{
        .id = id, .params = {{"train.learning_rate", 0.5 + static_cast<double>(id)}}, .state = "completed"};
    trial.metric = 1;
    study.trials.push_back(trial);
  }
  for (std::size_t i = 0; i < diverged + starved; ++i) {
    TrialFacts& trial = study.trials[i];
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
  ReportFacts full = failing(6, 0);
  full.full = true;
  EXPECT_NE(failure_hint(full).find("2e-06 to 0.0002 is usual for full fine-tuning"), std::string::npos);
  ReportFacts fixed = failing(6, 0);
  for (auto& trial : fixed.trials) trial.params.clear();
  EXPECT_NE(failure_hint(fixed).find(": lower train.learning_rate; 2e-05"), std::string::npos) << failure_hint(fixed);
  ReportFacts usual = failing(6, 0);
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
  ReportFacts other = failing(6, 0);
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
  ReportFacts made = study();
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
  for (const ReportFacts& made : {study(), made_population(), made_failure(), made_study(20, 7), made_trust()}) {
    auto json = report_json(made);
    auto again = report_json(facts_from_json("f", nlohmann::ordered_json::parse(json.dump())));
    for (const char* computed : {"importance", "ped_anova", "importance_step", "interactions", "budget_correlation"}) {
      json.erase(computed);  // from the curves, which lie elsewhere
      again.erase(computed);
    }
    EXPECT_EQ(again, json);
  }
  EXPECT_THROW(facts_from_json("f", nlohmann::ordered_json::parse(R"({"best":null})")), Error);
  EXPECT_THROW(facts_from_json("f", nlohmann::ordered_json::parse("[]")), Error);
}

// A report is a file that anybody may have written.
TEST(ReportJson, RefusesWhatWouldBreakTheAnalysis) {
  const auto json = report_json(made_study(20));
  const auto refused = [&](const std::string& pointer, const nlohmann::ordered_json& value) {
    auto forged = json;
    forged[nlohmann::ordered_json::json_pointer(pointer)] = value;
    EXPECT_THROW(facts_from_json("f", forged), Error) << pointer;
  };
  refused("/search/0/low", -1);  // of logarithms
  refused("/search/3/high", "inf");
  refused("/search/3/high", -1);
  refused("/search/3/step", 0);
  refused("/trials/" + std::to_string(json["best"]["trial"].get<int>()) + "/metric", nullptr);
  refused("/trials/0/rounds/0", 7);
  refused("/trials/0/rounds/0", {5, 4});
  refused("/trials/0/rounds/0", {0, 4});
  refused("/study/rungs", {"x"});
}

TEST(Verdict, AStudyInWhichEveryTrialFailedHasNoWinner) {
  ReportFacts study;
  EXPECT_FALSE(all_failed(study)) << "nothing was started";
  study.trials = {{.id = 0, .state = "failed", .reason = "loss is nan at step 3"}, {.id = 1, .state = "failed"}};
  EXPECT_TRUE(all_failed(study));
  EXPECT_NE(verdict(study).find("loss is nan at step 3"), std::string::npos) << verdict(study);
  study.trials[1].state = "stopped";
  EXPECT_FALSE(all_failed(study));
}

TEST(ReportMarkdown, SaysHowFarTheWinnerCanBeTrusted) {
  ReportFacts made = made_trust();
  made.samples = {{"# one\n| two", "r", "b\r\n\n- c", "d"}};
  const std::string text = report_markdown(made);
  for (const char* part :
       {"How sure:\n\nThe best were confirmed with 2 more seeds.\n\n| trial | mean over",
        "- than the default configuration: by 0.5", "| best | 1.71 |", "| untouched base | 3.15 |", "\nHints:\n\n- ",
        "(3 min 20 s of 5 min 32 s)", "\n4 stopped trials ran on", "\nperplexity at rungs ranks trials as valid_loss",
        "| default configuration | 2.21 |", "| train.lora.rank = ", "Prompt 1:\n\n    # one\n    | two\n",
        "Base:\n\n    b\n    \n    - c\n"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  EXPECT_LT(text.find("Hints:"), text.find("How sure:"));
  for (const char* part : {"Hints:", "How sure:", "Prompt 1", "Spearman", "change at a time"})
    EXPECT_EQ(report_markdown(study()).find(part), std::string::npos) << part;
}

TEST(ReportText, HasHintsAndWhatStoppingCost) {
  const std::string text = report_text(made_trust());
  for (const char* part : {"\nhint: The validation set is too small", "\nhint: Most of the time went into evaluation",
                           "\n4 stopped trials ran on", "\nperplexity at rungs ranks"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  EXPECT_EQ(report_text(study()).find("stopped trials ran on"), std::string::npos);
}

TEST(Words, OfAnAudit) {
  ReportFacts made;
  const auto says = [&](std::int64_t trials, std::int64_t won) {
    made.audit = AuditFact{trials, won};
    return audit_text(made);
  };
  EXPECT_EQ(audit_text(made), "");
  EXPECT_EQ(says(0, 0).find("No stopped trial was drawn"), 0u);
  EXPECT_EQ(says(1, 0), "One stopped trial ran on to the end all the same, and it would not have won.");
  EXPECT_EQ(says(1, 1).find("One stopped trial ran on to the end all the same, and it would have won: stopping"), 0u);
  EXPECT_EQ(says(3, 0), "3 stopped trials ran on to the end all the same, and none of them would have won.");
}

TEST(FurtherMetrics, StandBesideTheTunedOne) {
  ReportFacts made = made_trust();
  made.further = {"macro_f1", "exact_match"};
  TrialFacts& best = made.trials[*made.best];
  best.further = {{"macro_f1", 0.5, best.step}, {"exact_match", 0.25, best.step + 5}};
  const std::string text = fmt::format("macro_f1 0.5, exact_match 0.25 (at step {})", best.step + 5);
  EXPECT_EQ(further_text(best), text);
  EXPECT_NE(report_text(made).find("further metrics: " + text), std::string::npos);
  const std::string markdown = report_markdown(made), html = report_html(made);
  EXPECT_NE(markdown.find("Further metrics of trial " + std::to_string(best.id) + ": " + text), std::string::npos);
  EXPECT_NE(markdown.find("| reason | macro_f1 | exact_match |"), std::string::npos);
  EXPECT_NE(markdown.find("| 0.5 | 0.25 |"), std::string::npos);
  EXPECT_NE(html.find(text), std::string::npos);
  EXPECT_NE(html.find("<td class=n>0.5<td class=n>0.25<td class=n>"), std::string::npos);
  const auto json = report_json(made);
  EXPECT_EQ(json.at("best").at("further_metrics").at("macro_f1").at("value"), 0.5);
  const ReportFacts again = facts_from_json("x", json);
  EXPECT_EQ(again.further, made.further);
  EXPECT_EQ(further_text(again.trials[*again.best]), text);
  EXPECT_EQ(report_json(made_trust()).dump().find("further"), std::string::npos) << "none, where none is asked for";
}

// What was logged beside decides nothing, so a population's beginnings are all that a reader would miss.
TEST(ReportJson, HasWhatAMemberOfAPopulationBeganWith) {
  ReportFacts made = made_population();
  const auto changed = std::ranges::find_if(made.trials, [](const auto& trial) { return !trial.lineage.empty(); });
  ASSERT_NE(changed, made.trials.end());
  changed->first = {{"train.learning_rate", 0.125}};
  const ReportFacts again = facts_from_json("x", report_json(made));
  EXPECT_EQ(again.trials[static_cast<std::size_t>(changed->id)].first, changed->first);
}

TEST(Words, OfALastLookThatFailed) {
  ReportFacts made = made_trust();
  EXPECT_EQ(last_look_text(made), "");
  made.look_failure = "cpu: out of memory";
  for (const std::string& text : {report_text(made), report_markdown(made), report_html(made)})
    EXPECT_NE(text.find("The last look at the best could not be had"), std::string::npos) << text;
  EXPECT_EQ(facts_from_json("x", report_json(made)).look_failure, made.look_failure);
}

TEST(Words, OfOneAndOfMany) {
  ReportFacts made;
  made.trials = {{.state = "completed"}};
  EXPECT_EQ(states_text(made), "1 trial, completed");
  made.trials.push_back({.state = "completed"});
  EXPECT_EQ(states_text(made), "2 trials, all completed");
  made.trials.push_back({.state = "stopped"});
  EXPECT_EQ(states_text(made), "3 trials, 2 completed, 1 stopped");
  EXPECT_EQ(trials_text(1234), "1,234 trials");
}

// A difference below 0 is worse: no "-0.1 better".
TEST(Words, OfAnInterval) {
  EXPECT_EQ(better_text(0.1, 0.25), "0.1 to 0.25 better");
  EXPECT_EQ(better_text(-0.1, 0.25), "0.1 worse to 0.25 better");
  EXPECT_EQ(better_text(-0.25, -0.1), "0.1 to 0.25 worse");
}

TEST(Words, OfWhatRungsCompare) {
  ReportFacts made;
  made.metric = "exact_match";
  made.rung_metric = "valid_loss";
  EXPECT_EQ(rung_agreement_text(made), "");
  made.rung_agreement = CorrelationFact{30, 90, 12, 0.83};
  EXPECT_EQ(rung_agreement_text(made),
            "valid_loss at rungs ranks trials as exact_match at the end: Spearman 0.83 over 12 trials.");
  made.rung_agreement->spearman = 0.1;
  EXPECT_EQ(rung_agreement_text(made),
            "valid_loss at rungs does not rank trials as exact_match at the end does: Spearman 0.10 over 12 trials.");
  made.rung_agreement->early = 90;
  EXPECT_EQ(rung_agreement_text(made).find("valid_loss at the end does not rank"), 0u) << "there were no rungs";
}

TEST(ReportMarkdown, KeepsItsTableWhole) {
  const std::string text = report_markdown(study());
  EXPECT_EQ(text.find("\"x\")</script>&|"), std::string::npos) << "a bar of the user's would open a cell";
}

}  // namespace
}  // namespace finetune::testing
