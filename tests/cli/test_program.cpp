// The program as its user runs it: on a small folder, from the command line. What it leaves must be right and
// repeatable.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "cli/program.h"
#include "core/metric.h"

namespace finetune::testing {
namespace {

TEST(Program, TheFixtureItselfTrainsAndGivesTheSameBytesAgain) {
  const Fixture fixture;
  const Outcome tuned = run(fixture.tune());
  ASSERT_EQ(tuned.code, 0) << tuned.text;
  const Outcome again =
      run("train --config '" + fixture.path("out/best.yaml") + "' --out '" + fixture.path("again") + "'");
  ASSERT_EQ(again.code, 0) << again.text;
  EXPECT_EQ(fixture.read("out/best/adapter_model.safetensors"),
            fixture.read("again/adapter/adapter_model.safetensors"));
  const Outcome merged = run("export --model '" + fixture.path("model") + "' --adapter '" + fixture.path("out/best") +
                             "' --out '" + fixture.path("merged") + "'");
  EXPECT_EQ(merged.code, 0) << merged.text;
  EXPECT_TRUE(fs::exists(fixture.path("merged/tokenizer.json")));
}

// It says where the time went, here and in every report, and changes nothing else; run.yaml and best.yaml know of it.
TEST(Program, AProfileChangesNoBit) {
  const Fixture fixture;
  const std::string lanes = "--set run.lanes=1 --set data.valid_fraction=0.5";
  const Outcome plain = run(fixture.tune(lanes));
  ASSERT_EQ(plain.code, 0) << plain.text;
  EXPECT_EQ(plain.text.find("where the time went"), std::string::npos) << plain.text;
  const Outcome profiled = run(fixture.tune_with("train.jsonl", "profiled", lanes + " --profile"));
  ASSERT_EQ(profiled.code, 0) << profiled.text;
  for (const char* line : {"where the time went: ", "products of the base ", "adapter products, backward", "waiting"})
    EXPECT_NE(profiled.text.find(line), std::string::npos) << line << profiled.text;
  for (const char* file :
       {"best/adapter_model.safetensors", "trials/000000/metrics.jsonl", "trials/000001/metrics.jsonl"})
    EXPECT_EQ(fixture.read(std::string("out/") + file), fixture.read(std::string("profiled/") + file)) << file;
  EXPECT_NE(fixture.read("profiled/run.yaml").find("profile: true"), std::string::npos);
  EXPECT_NE(fixture.read("profiled/best.yaml").find("profile: false"), std::string::npos);
  const auto report = nlohmann::json::parse(fixture.read("profiled/report.json"));
  EXPECT_GE(report.at("cost").at("profile").at("parts").size(), 10u);
  EXPECT_NE(fixture.read("profiled/report.html").find("products of the base, backward"), std::string::npos);
  EXPECT_NE(fixture.read("profiled/report.md").find("| products of the base, backward | "), std::string::npos);
  const Outcome trained =
      run("train --profile --config '" + fixture.path("out/best.yaml") + "' --out '" + fixture.path("again") + "'");
  ASSERT_EQ(trained.code, 0) << trained.text;
  EXPECT_NE(trained.text.find("where the time went"), std::string::npos) << trained.text;
  EXPECT_EQ(trained.text.find("run.lanes"), std::string::npos) << "best.yaml asks for none: " << trained.text;
  const Outcome json = run("train --profile --json --set run.lanes=2 --config '" + fixture.path("out/best.yaml") +
                           "' --out '" + fixture.path("json") + "' 2>/dev/null");
  EXPECT_GT(nlohmann::json::parse(json.text).at("profile").at("steps").get<int>(), 0);
  EXPECT_EQ(fixture.read("out/best/adapter_model.safetensors"),
            fixture.read("again/adapter/adapter_model.safetensors"));
}

// A trial is on one lane: what was asked for beyond that is lowered, and said once.
TEST(Program, MoreLanesThanTrialsAreLoweredAndSaid) {
  const Fixture fixture;
  const Outcome tuned = run(fixture.tune("--trials 2 --set run.lanes=5 --set data.valid_fraction=0.5"));
  ASSERT_EQ(tuned.code, 0) << tuned.text;
  const std::string said = "run.lanes = 5 lowered to 2: a trial is on one lane, and 2 are trained at once\n";
  EXPECT_NE(tuned.text.find(said), std::string::npos) << tuned.text;
  EXPECT_EQ(tuned.text.find("run.lanes", tuned.text.find(said) + said.size()), std::string::npos) << tuned.text;
  const Outcome trained = run("train --config '" + fixture.path("out/best.yaml") + "' --set run.lanes=3 --out '" +
                              fixture.path("again") + "'");
  EXPECT_NE(trained.text.find("run.lanes = 3 lowered to 1: a trial is on one lane, and there is one\n"),
            std::string::npos)
      << trained.text;
}

// What the run wrote and said comes out again, hints on time included.
TEST(Program, AReportWrittenAgainIsTheSame) {
  const Fixture fixture;
  const Outcome tuned =
      run(fixture.tune("--trials 4 --set data.valid_fraction=0.5 --set run.metrics=[token_accuracy] "
                       "--set tune.audit=0.5 --set run.eval_every=1"));
  ASSERT_EQ(tuned.code, 0) << tuned.text;
  std::map<std::string, std::string> written;
  for (const char* name : {"report.json", "report.md", "report.html"}) {
    written[name] = fixture.read(std::string("out/") + name);
    fixture.write(std::string("out/") + name, name == std::string("report.json") ? written[name] : "");
  }
  // However long it took, the hint is there or not both times.
  EXPECT_NE(written["report.json"].find("\"evaluation_seconds\""), std::string::npos);
  const Outcome again = run("report '" + fixture.path("out") + "'");
  ASSERT_EQ(again.code, 0) << again.text;
  for (const auto& [name, content] : written) EXPECT_TRUE(fixture.read("out/" + name) == content) << name;
  EXPECT_NE(tuned.text.find(again.text), std::string::npos) << again.text << "\n---\n" << tuned.text;
}

// Every verb takes a quantised base, the same bytes come out again, and what is merged is said.
TEST(Program, AQuantisedBase) {
  const Fixture fixture;
  const std::string quantize = " --set model.quantize=nf4 --set model.double_quantize=true";
  const Outcome tuned = run(fixture.tune(quantize));
  ASSERT_EQ(tuned.code, 0) << tuned.text;
  EXPECT_NE(tuned.text.find("--set model.quantize=nf4 --set model.double_quantize=true"), std::string::npos);
  for (const char* file : {"out/run.yaml", "out/best.yaml"}) {
    EXPECT_NE(fixture.read(file).find("quantize: nf4"), std::string::npos) << file;
    EXPECT_NE(fixture.read(file).find("double_quantize: true"), std::string::npos) << file;
  }
  EXPECT_NE(fixture.read("out/report.md").find("model.quantize"), std::string::npos);
  const Outcome again =
      run("train --config '" + fixture.path("out/best.yaml") + "' --out '" + fixture.path("again") + "'");
  ASSERT_EQ(again.code, 0) << again.text;
  EXPECT_EQ(fixture.read("out/best/adapter_model.safetensors"),
            fixture.read("again/adapter/adapter_model.safetensors"));

  const std::string model = "--model '" + fixture.path("model") + "'", data = "'" + fixture.path("train.jsonl") + "'";
  const std::string adapter = " --adapter '" + fixture.path("out/best") + "'";
  const Outcome merged = run("export " + model + adapter + quantize + " --out '" + fixture.path("merged") + "'");
  ASSERT_EQ(merged.code, 0) << merged.text;
  EXPECT_NE(
      merged.text.find("the base is quantised to nf4 (doubly quantised): the adapter is merged into its dequantised"),
      std::string::npos)
      << merged.text;
  const auto loss = [&](const std::string& arguments) {
    const Outcome outcome = run("eval --data " + data + " --json " + arguments + " 2>/dev/null");
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    return nlohmann::json::parse(outcome.text).at("loss").get<double>();
  };
  const double with_adapter = loss(model + adapter + quantize);
  EXPECT_NEAR(loss("--model '" + fixture.path("merged") + "'"), with_adapter, 1e-5 * with_adapter);
  EXPECT_GT(std::fabs(loss(model + adapter) - with_adapter), 1e-5 * with_adapter);
  EXPECT_EQ(run("check " + model + " --train " + data + quantize).code, 0);
  const std::string prompt = " --prompt ab --max-new-tokens 12 --json 2>/dev/null";
  const Outcome written = run("generate " + model + adapter + quantize + prompt);
  EXPECT_EQ(written.code, 0) << written.text;
  EXPECT_EQ(written.text, run("generate --model '" + fixture.path("merged") + "'" + prompt).text);
}

// What the overview names is there, says how it is used, and nothing else is named.
TEST(Program, EveryVerbHasHelpWithAnExample) {
  const Outcome overview = run("--help");
  ASSERT_EQ(overview.code, 0);
  std::istringstream lines(overview.text.substr(0, overview.text.find("finetune_tune VERB --help")));
  std::set<std::string> verbs;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("  ")) verbs.insert(line.substr(2, line.find(' ', 2) - 2));
  }
  for (const char* verb : {"tune", "resume", "train", "eval", "generate", "check", "tokenize", "detokenize", "export",
                           "report", "asktell", "compare", "demo"})
    EXPECT_TRUE(verbs.contains(verb)) << verb;
  for (const std::string& verb : verbs) {
    const Outcome help = run(verb + " --help");
    EXPECT_EQ(help.code, 0) << help.text;
    EXPECT_NE(help.text.find("Example:\n  "), std::string::npos) << help.text;
    EXPECT_NE(help.text.find("finetune_tune " + (verb == "tune" ? "" : verb + " ")), std::string::npos) << help.text;
  }
}

// What a metric needs besides its name, on the fixture's rows.
std::string settings_for(const Metric& metric) {
  const std::string few = " --set tune.generate.max_new_tokens=3 ";
  switch (metric.source) {
    case MetricSource::loss:
      return "";
    case MetricSource::labels:
    case MetricSource::choices:
      return " --set 'data.labels=[d, e]' ";
    case MetricSource::text:
      return few;
    case MetricSource::command:
      return few + "--set tune.direction=minimize --set 'tune.command=[grep, -c, prompt]' ";
    case MetricSource::preferences:
      return " --set train.objective=dpo ";
  }
  return "";
}

// Whatever is tuned: the best trial is the best in that metric's direction, and every file has the metric by its name.
TEST(Program, EveryMetricIsTunedInItsOwnDirection) {
  for (const Metric& metric : metrics()) {
    if (metric.source == MetricSource::preferences) continue;  // of other rows: tests/engine/test_preferences.cpp
    SCOPED_TRACE(metric.name);
    const Fixture fixture;
    const std::string rates = "--set 'search.train.learning_rate={choices: [1e-4, 0.3, 0.03]}' ";
    const std::string of = std::string("--set tune.metric=") + metric.name + settings_for(metric) + " ";
    const Outcome tuned = run(fixture.tune(
        rates + of + "--trials 3 --set tune.sampler=grid --set tune.scheduler=none --set train.warmup_ratio=0"));
    ASSERT_EQ(tuned.code, 0) << tuned.text;
    const auto report = nlohmann::json::parse(fixture.read("out/report.json"));
    const auto minimized = [&](const auto& value) {
      return to_minimized(value.template get<double>(), metric.direction);
    };
    for (const auto& trial : report.at("trials")) {
      if (trial.at("metric").is_null()) continue;  // it failed
      EXPECT_LE(minimized(report.at("best").at("metric")), minimized(trial.at("metric")));
    }
    EXPECT_EQ(report.at("study").at("direction"), to_text(metric.direction));
    const std::string lines = fixture.read("out/trials/000001/metrics.jsonl");
    for (const std::string name : {"valid_loss", metric.name})
      EXPECT_NE(lines.find("\"" + name + "\":"), std::string::npos) << lines;
    const Outcome trained = run("train --json --config '" + fixture.path("out/best.yaml") + "' --out '" +
                                fixture.path("again") + "' 2>/dev/null");
    ASSERT_EQ(trained.code, 0) << trained.text;
    const auto json = nlohmann::json::parse(trained.text);
    EXPECT_EQ(json.at(metric.name), report.at("best").at("metric"));
    EXPECT_TRUE(json.contains("valid_loss"));
  }
}

TEST(Program, AStudyInWhichEveryTrialFailsIsAFailure) {
  const Fixture fixture;
  const std::string rates =
      "--set 'search.train.learning_rate={choices: [1e35, 1e36]}' --set tune.sampler=grid --set train.max_grad_norm=0 ";
  const Outcome outcome = run(fixture.tune(rates + "--set tune.scheduler=none --set train.warmup_ratio=0"));
  EXPECT_EQ(outcome.code, 1) << outcome.text;
  EXPECT_EQ(outcome.text.find("out/best"), std::string::npos) << outcome.text;
  // One line of evidence and what to do, and the reports have it too.
  const std::string hint = nlohmann::json::parse(fixture.read("out/report.json")).at("hint");
  EXPECT_NE(hint.find("their rates were 1e+35 to 1e+36, and 1e+35 failed at step "), std::string::npos) << hint;
  EXPECT_NE(hint.find("lower search.train.learning_rate; 2e-05 to 0.002 is usual for LoRA"), std::string::npos) << hint;
  EXPECT_NE(outcome.text.find("out: every trial failed: " + hint + "\n"), std::string::npos) << outcome.text;
  EXPECT_NE(fixture.read("out/report.md").find(hint), std::string::npos);
  EXPECT_FALSE(fs::exists(fixture.path("out/best")));
  EXPECT_FALSE(fs::exists(fixture.path("out/best.yaml")));
  EXPECT_TRUE(nlohmann::json::parse(fixture.read("out/report.json")).at("best").is_null());
  EXPECT_EQ(fixture.read("out/report.html").find("best.yaml"), std::string::npos);
}

// What the end of a run tells a user to do can be done as it stands there, also where data is read through a pattern.
TEST(Program, TheCommandsItEndsWithWork) {
  for (const std::string method : {"lora", "full"}) {
    SCOPED_TRACE(method);
    const Fixture fixture;
    fixture.write("columns.jsonl",
                  "{\"q\": \"ab\", \"r\": \"c\"}\n{\"q\": \"cd\", \"r\": \"e\"}\n{\"q\": \"f\", \"r\": \"g\"}\n");
    int commands = 0;
    for (const std::string verb : {"tune", "train"}) {
      const Outcome outcome = run(verb + " " +
                                  fixture.tune_with("columns.jsonl", verb + " out",
                                                    "--set train.method=" + method +
                                                        " --set 'data.prompt=q {q}:' --set 'data.completion= {r}'"));
      ASSERT_EQ(outcome.code, 0) << outcome.text;
      std::istringstream lines(outcome.text.substr(outcome.text.find("\nnext:\n") + 7));
      for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("  finetune_tune ")) continue;
        std::string command = line.substr(16, line.find(" # ") - 16);
        const auto put = [&](const std::string& word, const std::string& value) {
          if (const auto at = command.find(word); at != std::string::npos) command.replace(at, word.size(), value);
        };
        put("FILE", fixture.path("columns.jsonl"));
        put("NEW", fixture.path("new" + std::to_string(commands)));
        const Outcome done = run(command);
        EXPECT_EQ(done.code, 0) << command << "\n" << done.text;
        ++commands;
      }
    }
    EXPECT_EQ(commands, method == "lora" ? 3 + 2 : 2 + 1);
  }
}

TEST(Program, RunYamlIsTheWholeConfiguration) {
  const Fixture fixture;
  ASSERT_EQ(run(fixture.tune("--seed 7 --set train.lora.rank=4")).code, 0);
  const std::string written = fixture.read("out/run.yaml");
  EXPECT_TRUE(written.starts_with("# finetune_tune ")) << written;
  const Outcome again =
      run("tune --config '" + fixture.path("out/run.yaml") + "' --out '" + fixture.path("again") + "'");
  ASSERT_EQ(again.code, 0) << again.text;
  for (const char* file : {"/trials/000000/metrics.jsonl", "/trials/000001/metrics.jsonl", "/best/adapter_config.json"})
    EXPECT_EQ(fixture.read(std::string("out") + file), fixture.read(std::string("again") + file)) << file;
  fixture.edit("again/run.yaml", fixture.path("again"), fixture.path("out"));
  EXPECT_EQ(fixture.read("again/run.yaml"), written);
}

TEST(Program, ConcurrencyDoesNotChangeAByteOfTheMetrics) {
  const Fixture fixture;
  std::string first;
  for (const int concurrent : {1, 3, 6}) {
    const std::string name = "out" + std::to_string(concurrent), out = fixture.path(name);
    const Outcome outcome = run(
        fixture.tune_with("train.jsonl", name,
                          "--trials 6 --set tune.scheduler=none --set tune.concurrent=" + std::to_string(concurrent)));
    ASSERT_EQ(outcome.code, 0) << outcome.text;
    std::string metrics;
    for (int trial = 0; trial < 6; ++trial)
      metrics += read_file(fs::path(out) / "trials" / ("00000" + std::to_string(trial)) / "metrics.jsonl");
    if (first.empty()) first = metrics;
    EXPECT_EQ(metrics, first) << concurrent << " side by side";
  }
}

TEST(Program, BadLinesOnStdinNameTheLine) {
  const Fixture fixture;
  const Outcome outcome = run("tokenize --model '" + fixture.path("model") + "'", "\"abc\"\\n\"ab\\n");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.text.find("stdin:2"), std::string::npos) << outcome.text;
  EXPECT_EQ(run("detokenize --model '" + fixture.path("model") + "'", "[3, 4, 999]\\n").code, 2);
}

// The trial that copied most is trained again alone along its lineage: the same validation loss, bit for bit.
TEST(Program, AReplayFollowsATrialOfAPopulationToTheSameWeights) {
  const Fixture fixture;
  // A start that nobody copies: a replay of the search must not begin with it.
  const std::string search =
      "--set 'search.train.learning_rate={low: 1e-4, high: 1e-1, log: true, start: 1e-4}' "
      "--set 'search.train.weight_decay={low: 1e-3, high: 1e-1, log: true}' "
      "--set train.steps=12 --set train.warmup_ratio=0 ";
  const Outcome population = run(fixture.tune_with(
      "train.jsonl", "population", search + "--trials 4 --set 'tune.scheduler={name: pbt, interval: 3}'"));
  ASSERT_EQ(population.code, 0) << population.text;
  const auto losses = [&](const std::string& trial) {
    std::string lines, all = fixture.read(trial + "/metrics.jsonl");
    for (std::size_t at = all.find("valid_loss"); at != std::string::npos; at = all.find("valid_loss", at + 1))
      lines = all.substr(at, all.find('\n', at) - at);
    return lines;  // the last
  };
  std::string copied;
  for (const char* trial : {"0", "1", "2", "3"}) {
    const std::string folder = std::string("population/trials/00000") + trial;
    if (fs::exists(fixture.path(folder + "/schedule.json"))) copied = trial;
  }
  ASSERT_NE(copied, "") << "no trial copied another";
  // The search is the population's own.
  const Outcome again = run(fixture.tune_with("train.jsonl", "again",
                                              "--set train.steps=12 --set train.warmup_ratio=0 --set "
                                              "'tune.scheduler={name: replay, run: " +
                                                  fixture.path("population") + ", trial: " + copied + "}' --trials 1"));
  ASSERT_EQ(again.code, 0) << again.text;
  EXPECT_EQ(losses("again/trials/000000"), losses("population/trials/00000" + copied));
  const auto report = nlohmann::json::parse(fixture.read("again/report.json"));
  EXPECT_EQ(report.at("trials").size(), 1u);
  const Outcome missing =
      run(fixture.tune_with("train.jsonl", "none", "--set 'tune.scheduler={name: replay, run: nowhere}'"));
  EXPECT_EQ(missing.code, 2);
  EXPECT_NE(missing.text.find("nowhere"), std::string::npos) << missing.text;
}

TEST(Program, AStartIsTheFirstTrialAndCheckSaysSo) {
  const Fixture fixture;
  const std::string search =
      "--set 'search.train.learning_rate={low: 1e-4, high: 1e-1, log: true, start: 5e-3}' "
      "--set 'search.train.lora.rank={type: ordinal, choices: [4, 8, 16]}' ";
  const Outcome check = run("check --model '" + fixture.path("model") + "' --train '" + fixture.path("train.jsonl") +
                            "' --trials 2 --steps 4 " + search);
  ASSERT_EQ(check.code, 0) << check.text;
  EXPECT_NE(check.text.find("starts with train.learning_rate = 0.005, train.lora.rank = 16\n"), std::string::npos)
      << check.text;
  ASSERT_EQ(run(fixture.tune(search)).code, 0);
  const auto trials = nlohmann::json::parse(fixture.read("out/report.json")).at("trials");
  EXPECT_EQ(trials[0].at("params").dump(), R"({"train.learning_rate":0.005,"train.lora.rank":16})");
  EXPECT_NE(trials[1].at("params"), trials[0].at("params"));
  EXPECT_NE(fixture.read("out/run.yaml").find("start: 0.005"), std::string::npos);
  EXPECT_NE(fixture.read("out/run.yaml").find("type: ordinal"), std::string::npos);
}

// Ctrl-C in the middle: exit code 130, and a report of what is there.
TEST(Program, AnInterruptEndsWithAReport) {
  const Fixture fixture;
  const std::string line =
      fixture.tune("--set train.steps=1000000 --set tune.scheduler=none --set train.warmup_ratio=0");
  const Outcome outcome = interrupt_once(fixture.path("out/trials/000001/metrics.jsonl"), line);
  EXPECT_EQ(outcome.code, 130) << outcome.text;
  const auto report = nlohmann::json::parse(fixture.read("out/report.json"));
  ASSERT_EQ(report.at("trials").size(), 2u);
  for (const auto& trial : report.at("trials")) EXPECT_EQ(trial.at("reason"), "interrupted");
  EXPECT_EQ(report.at("cost").at("saved_steps"), 0) << "a tuner saves steps, Ctrl-C does not";
  EXPECT_TRUE(report.at("best").is_null()) << "nothing was evaluated";
  EXPECT_EQ(outcome.text.find("out/best"), std::string::npos) << outcome.text;
  EXPECT_TRUE(fs::exists(fixture.path("out/report.html")));
}

// Before the first round is through there is nothing to report and nothing to go on with: nothing stays.
TEST(Program, AnInterruptBeforeTheFirstRoundLeavesNothing) {
  const Fixture fixture;
  const std::string line =
      fixture.tune("--set train.steps=1000000 --set train.batch_size=60 --set tune.scheduler=none");
  const std::string out = fixture.path("out");
  int interrupted = 0;
  for (int i = 0; i < 40 && interrupted == 0; ++i) {  // as soon as the folder is there, which may be too late
    fs::remove_all(out);
    const Outcome outcome = run_command("'" + program_path() + "' " + line + " & pid=$!; while [ ! -e '" + out +
                                        "/run.yaml' ] && kill -0 $pid; do :; done; kill -INT $pid; wait $pid");
    EXPECT_EQ(outcome.code, 130) << outcome.text;
    if (outcome.text.find("interrupted before there was anything to keep") == std::string::npos) continue;
    ++interrupted;
    EXPECT_TRUE(!fs::exists(out) || fs::is_empty(out)) << outcome.text;
  }
  EXPECT_EQ(interrupted, 1);
}

TEST(Program, EvalTakesTheConfigurationOfARunWithoutItsTrainingData) {
  const Fixture fixture;
  ASSERT_EQ(run(fixture.tune() + " 2>/dev/null").code, 0);
  fs::rename(fixture.path("train.jsonl"), fixture.path("held.jsonl"));
  const Outcome outcome =
      run("eval --config '" + fixture.path("out/best.yaml") + "' --data '" + fixture.path("held.jsonl") + "'");
  EXPECT_EQ(outcome.code, 0) << outcome.text;
}

TEST(Program, JsonIsOneObjectOnStdout) {
  const Fixture fixture;
  const std::string model = "--model '" + fixture.path("model") + "'", quiet = " --json 2>/dev/null";
  const auto object = [&](const std::string& arguments) {
    const Outcome outcome = run(arguments + quiet);
    EXPECT_EQ(outcome.code, 0) << arguments << "\n" << outcome.text;
    return nlohmann::json::parse(outcome.text);
  };
  EXPECT_TRUE(object(fixture.tune()).at("best").contains("metric"));
  EXPECT_TRUE(object("check " + model + " --train '" + fixture.path("train.jsonl") + "'").contains("memory_bytes"));
  EXPECT_TRUE(object("eval " + model + " --data '" + fixture.path("train.jsonl") + "'").is_object());
  EXPECT_TRUE(object("report '" + fixture.path("out") + "'").is_object());
  EXPECT_TRUE(object("train --config '" + fixture.path("out/best.yaml") + "' --out '" + fixture.path("again") + "'")
                  .contains("train_loss"));
  EXPECT_TRUE(
      object("export " + model + " --adapter '" + fixture.path("out/best") + "' --out '" + fixture.path("merged") + "'")
          .is_object());
}

// The reader of Parquet stands beside the program; one that lies elsewhere has none.
TEST(Program, CheckRefusesASourceWithNothingToDraw) {
  const Fixture fixture;
  fixture.write("empty.jsonl", R"({"prompt":"a","completion":""})"
                               "\n");
  fixture.write("mixed.yaml", "data: {append_eos: false, train: [{path: " + fixture.path("train.jsonl") +
                                  ", weight: 1}, {path: " + fixture.path("empty.jsonl") + ", weight: 1}]}\n");
  const Outcome check =
      run("check --model '" + fixture.path("model") + "' --config '" + fixture.path("mixed.yaml") + "'");
  EXPECT_EQ(check.code, 2) << check.text;
  EXPECT_NE(check.text.find("empty.jsonl: has a weight in data.train, and no example to draw"), std::string::npos)
      << check.text;
}

// 64 MiB are enough to be kept; the lines are cut to a few tokens, so that training takes no time.
TEST(Program, TokensOfLargeDataAreKeptAndChangeNothing) {
  const Fixture fixture;
  std::string lines;
  for (int i = 0; i < 1'100; ++i)
    lines += R"({"text":")" + std::string(62'000, static_cast<char>('a' + i % 26)) + "\"}\n";
  fixture.write("large.jsonl", lines);
  const auto train = [&](const std::string& cache, const std::string& out) {
    return run_command("XDG_CACHE_HOME='" + cache + "' HOME=nowhere '" + program_path() + "' train --model '" +
                       fixture.path("model") + "' --train '" + fixture.path("large.jsonl") +
                       "' --steps 3 --set data.max_length=20 --out '" + fixture.path(out) + "'");
  };
  const Outcome none = train("nowhere", "none"), first = train(fixture.path("cache"), "first"),
                second = train(fixture.path("cache"), "second");
  for (const Outcome& one : {none, first, second}) ASSERT_EQ(one.code, 0) << one.text;
  EXPECT_NE(none.text.find("neither XDG_CACHE_HOME nor HOME is an absolute path"), std::string::npos) << none.text;
  EXPECT_NE(first.text.find("large.jsonl are kept for the next run in "), std::string::npos) << first.text;
  EXPECT_NE(second.text.find("large.jsonl come from "), std::string::npos) << second.text;
  for (const char* file : {"metrics.jsonl", "adapter/adapter_model.safetensors"})
    for (const char* out : {"first", "second"})
      EXPECT_TRUE(read_file(fixture.path(std::string(out) + "/" + file)) ==
                  read_file(fixture.path(std::string("none/") + file)))
          << out << "/" << file;
}

TEST(Program, WithoutItsReaderParquetIsRefusedByTheWordThatFetchesIt) {
  const Fixture fixture;
  fixture.write("rows.parquet", "PAR1");
  std::filesystem::copy_file(program_path(), fixture.path("alone"));
  const Outcome outcome = run_command("'" + fixture.path("alone") + "' eval --model '" + fixture.path("model") +
                                      "' --data '" + fixture.path("rows.parquet") + "'");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.text.find("rows.parquet: this build reads no Parquet; run ./setup.sh --parquet"), std::string::npos)
      << outcome.text;
}

}  // namespace
}  // namespace finetune::testing
