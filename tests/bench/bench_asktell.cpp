// Lines a second of asktell, for every scheduler: the session alone, and the verb in a process of its own behind two
// pipes, once with lines sent ahead and once in turn (each waits for the answer before). Wanted: 50 000 or more.
//
// lines64/NAME: 1000 rounds of 64 trials, one line each, in turn. Microseconds of a report line: medians of the first
// and of the last hundred, without pipes; and of all, through the verb in a process (process_us) and through one that
// gives the same answers without thinking (echo_us). Wanted: under 50 over the pipe's own time, and as many at the end
// as at the beginning. On a virtual machine waking a process twice takes 10 or 90, as it happens: then the two figures
// without pipes say more than the difference.
#include <benchmark/benchmark.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <set>
#include <thread>

#include "cli/asktell.h"
#include "core/error.h"
#include "tuners/asktell_play.h"

namespace finetune::testing {
namespace {

constexpr std::int64_t kTrials = 200, kSteps = 100, kConcurrent = 8;

RunConfig config_of(const std::string& scheduler, std::int64_t trials = kTrials, std::int64_t steps = kSteps,
                    std::int64_t concurrent = kConcurrent) {
  RunConfig config;
  config.search = {{.name = "x", .low = 0, .high = 1}};
  config.tune.trials = scheduler == "pbt" || scheduler == "pb2" ? concurrent : trials;
  config.tune.steps = steps;
  config.tune.concurrent = concurrent;
  config.tune.sampler = TunerPart{"random", {}};
  config.tune.scheduler = TunerPart{scheduler, {}};
  if (scheduler == "threshold") config.tune.scheduler->options = {{"upper", 1e9}};
  if (scheduler == "replay") config.tune.scheduler->options = {{"schedule", std::string("50 x=0.5")}};
  return config;
}

// What a caller says in a whole study: asks, and a line for each report, eight trials in turn.
std::vector<std::string> study_lines(const std::string& scheduler) {
  AskTellSession session(asktell_setup(config_of(scheduler)));
  std::set<std::int64_t> running;
  std::map<std::int64_t, std::int64_t> steps;
  std::vector<std::string> lines;
  const auto say = [&](const Json& request) {
    lines.push_back(request.dump());
    const Json answer = Json::parse(session.answer(lines.back()));
    for (const auto& trial : answer.value("trials", Json::array())) running.insert(trial.at("id").get<std::int64_t>());
    for (const auto& action : answer.value("actions", Json::array())) {
      const std::string what = action.at("do");
      const auto id = action.at("id").get<std::int64_t>();
      if (what == "stop" || what == "pause") running.erase(id);
      if (what == "resume") running.insert(id);
    }
  };
  while (true) {
    if (static_cast<std::int64_t>(running.size()) < kConcurrent) say({{"ask", kConcurrent}});
    if (running.empty()) return lines;
    for (const std::int64_t id : std::set(running)) {
      if (running.count(id) == 0) continue;
      const std::int64_t step = ++steps[id];
      if (step == kSteps) running.erase(id);
      say({{"report", {{{"id", id}, {"step", step}, {"value", made_up_loss(id, step)}}}}});
    }
  }
}

void session(benchmark::State& state, const std::string& scheduler) {
  const auto lines = study_lines(scheduler);
  for (auto _ : state) {
    AskTellSession session(asktell_setup(config_of(scheduler)));
    for (const auto& line : lines) benchmark::DoNotOptimize(session.answer(line));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(lines.size()));
}

// A process behind two pipes: the verb, or whatever else `run` does with stdin and stdout.
class Child {
 public:
  explicit Child(const std::string& scheduler)
      : Child([scheduler] { return run_asktell(config_of(scheduler), std::cin, std::cout); }) {}
  explicit Child(const std::function<int()>& run) {
    int in[2], out[2];
    if (pipe(in) != 0 || pipe(out) != 0) throw failed("", "pipe");
    pid_ = fork();
    if (pid_ == 0) {
      dup2(in[0], STDIN_FILENO), dup2(out[1], STDOUT_FILENO);
      for (const int end : {in[0], in[1], out[0], out[1]}) close(end);
      std::ios::sync_with_stdio(false);
      _exit(run());
    }
    close(in[0]), close(out[1]);
    to_ = in[1], from_ = out[0];
  }
  ~Child() {
    close(to_), close(from_);
    waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void send(const std::string& text) const {
    for (std::size_t at = 0; at < text.size();) {
      const auto sent = write(to_, text.data() + at, text.size() - at);
      if (sent <= 0) throw failed("", "the verb closed its input");
      at += static_cast<std::size_t>(sent);
    }
  }
  void take(std::size_t lines) const {
    char chunk[65536];
    while (lines > 0) {
      const auto got = read(from_, chunk, sizeof chunk);
      if (got <= 0) throw failed("", "the verb closed its output");
      lines -= static_cast<std::size_t>(std::count(chunk, chunk + got, '\n'));
    }
  }

 private:
  pid_t pid_ = 0;
  int to_ = 0, from_ = 0;
};

void process(benchmark::State& state, const std::string& scheduler, bool ahead) {
  const auto lines = study_lines(scheduler);
  std::string all;
  for (const auto& line : lines) all += line + "\n";
  for (auto _ : state) {
    state.PauseTiming();
    const Child child(scheduler);
    child.send("{\"best\":1}\n");  // it has started
    child.take(1);
    state.ResumeTiming();
    if (ahead) {
      std::thread writer([&] { child.send(all); });
      child.take(lines.size());
      writer.join();
    } else {
      for (const auto& line : lines) child.send(line + "\n"), child.take(1);
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(lines.size()));
}

// Lines of 64 reports with the answers to them. All curves are alike, so that who only compares stops nobody, and every
// trial that a rung stops makes room for another.
constexpr std::int64_t kWide = 64, kLong = 1000;

struct Script {
  std::vector<std::string> lines, answers;
};

Script wide_study(const std::string& scheduler) {
  AskTellSession session(asktell_setup(config_of(scheduler, 100'000, kLong, kWide)));
  Script script;
  std::map<std::int64_t, std::int64_t> steps;
  std::set<std::int64_t> running;
  const auto say = [&](const Json& request) {
    script.lines.push_back(request.dump() + "\n");
    script.answers.push_back(session.answer(request.dump()) + "\n");
    const Json answer = Json::parse(script.answers.back());
    for (const auto& trial : answer.value("trials", Json::array())) running.insert(trial.at("id").get<std::int64_t>());
    for (const auto& action : answer.value("actions", Json::array())) {
      const auto id = action.at("id").get<std::int64_t>();
      const std::string what = action.at("do");
      if (what == "stop" || what == "pause") running.erase(id);
      if (what == "resume") running.insert(id);
    }
  };
  for (std::int64_t round = 0; round < kLong; ++round) {
    if (static_cast<std::int64_t>(running.size()) < kWide) say({{"ask", kWide}});
    Json entries = Json::array();
    for (const std::int64_t id : std::set(running)) {
      const std::int64_t step = ++steps[id];
      entries.push_back({{"id", id}, {"step", step}, {"value", 1.0 / static_cast<double>(step)}});
      if (step == kLong) running.erase(id);
    }
    if (entries.empty()) break;
    say({{"report", entries}});
  }
  return script;
}

int give_back(const std::vector<std::string>& answers) {
  std::string line;
  for (std::size_t i = 0; std::getline(std::cin, line); ++i) std::cout << answers.at(i) << std::flush;
  return 0;
}

// Microseconds of each report line.
std::vector<double> times_of(const Child& child, const Script& script) {
  std::vector<double> times;
  for (const std::string& line : script.lines) {
    const auto started = std::chrono::steady_clock::now();
    child.send(line), child.take(1);
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - started;
    if (line.starts_with("{\"report\"")) times.push_back(took.count());
  }
  return times;
}

// The same without pipes: what the answers themselves cost, whatever waking two processes takes here.
std::vector<double> times_alone(const std::string& scheduler, const Script& script) {
  AskTellSession session(asktell_setup(config_of(scheduler, 100'000, kLong, kWide)));
  std::vector<double> times;
  for (const std::string& line : script.lines) {
    const auto started = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(session.answer(line));
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - started;
    if (line.starts_with("{\"report\"")) times.push_back(took.count());
  }
  return times;
}

double median_of(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

void wide_lines(benchmark::State& state, const std::string& scheduler) {
  const Script script = wide_study(scheduler);
  for (auto _ : state) {
    const auto ours = times_of(
        Child([&] { return run_asktell(config_of(scheduler, 100'000, kLong, kWide), std::cin, std::cout); }), script);
    const auto pipes = times_of(Child([&] { return give_back(script.answers); }), script);
    const auto alone = times_alone(scheduler, script);
    const auto part = static_cast<std::ptrdiff_t>(std::min<std::size_t>(100, alone.size()));
    state.counters["first_us"] = median_of({alone.begin(), alone.begin() + part});
    state.counters["last_us"] = median_of({alone.end() - part, alone.end()});
    state.counters["process_us"] = median_of(ours);
    state.counters["echo_us"] = median_of(pipes);
  }
}

const bool registered = [] {
  for (const auto& name : scheduler_names()) {
    benchmark::RegisterBenchmark(("lines64/" + name).c_str(), [name](benchmark::State& s) { wide_lines(s, name); })
        ->Iterations(1)
        ->UseRealTime();
    benchmark::RegisterBenchmark(("session/" + name).c_str(), [name](benchmark::State& s) { session(s, name); });
    benchmark::RegisterBenchmark(("ahead/" + name).c_str(), [name](benchmark::State& s) {
      process(s, name, true);
    })->UseRealTime();
  }
  benchmark::RegisterBenchmark("in_turn/none", [](benchmark::State& s) { process(s, "none", false); })->UseRealTime();
  benchmark::RegisterBenchmark("in_turn/asha", [](benchmark::State& s) { process(s, "asha", false); })->UseRealTime();
  return true;
}();

}  // namespace
}  // namespace finetune::testing
