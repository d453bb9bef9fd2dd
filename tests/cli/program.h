// The built program and a folder in which it works: a model of a few thousand weights, its tokenizer and a little data.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "core/files.h"
#include "support/goldens.h"
#include "support/places.h"

namespace finetune::testing {

namespace fs = std::filesystem;

struct Outcome {
  int code = -1;
  std::string text;  // stdout and stderr together
};

/// A shell command; stdout and stderr together.
inline Outcome run_command(const std::string& command) {
  Outcome outcome;
  FILE* pipe = popen(("{ " + command + "; } 2>&1").c_str(), "r");
  char buffer[4096];
  while (const std::size_t got = fread(buffer, 1, sizeof buffer, pipe)) outcome.text.append(buffer, got);
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

/// The program with these arguments; `input`, with backslash escapes, goes to its stdin.
inline Outcome run(const std::string& arguments, const std::string& input = "") {
  const std::string feed = input.empty() ? "" : "printf '%b' '" + input + "' | ";
  return run_command(feed + "'" + program_path() + "' " + arguments);
}

/// The program, sent Ctrl-C as soon as `file` is there and not empty: no sleep is long enough for every machine.
inline Outcome interrupt_once(const std::string& file, const std::string& arguments) {
  return run_command("'" + program_path() + "' " + arguments + " & pid=$!; while [ ! -s '" + file +
                     "' ] && kill -0 $pid; do sleep 0.05; done; kill -INT $pid; wait $pid");
}

// A folder with a working model, tokenizer and data, in which each case breaks one thing.
class Fixture {
 public:
  Fixture() : root_(fs::temp_directory_path() / ("finetune_bad_input_" + std::to_string(getpid()))) {
    fs::remove_all(root_);
    fs::create_directories(root_);
    fs::copy(golden_path("models/llama"), root_ / "model");
    nlohmann::ordered_json vocabulary{{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
    for (char c = 'a'; c <= 'z'; ++c) vocabulary[std::string(1, c)] = vocabulary.size();
    for (const char* c : {" ", ":", ".", "0", "1"}) vocabulary[c] = vocabulary.size();
    const nlohmann::ordered_json tokenizer{
        {"version", "1.0"},
        {"added_tokens", {{{"id", 2}, {"content", "</s>"}, {"special", true}, {"normalized", false}}}},
        {"model",
         {{"type", "BPE"},
          {"unk_token", "<unk>"},
          {"vocab", vocabulary},
          {"merges", nlohmann::ordered_json::array()}}}};
    write("model/tokenizer.json", tokenizer.dump());
    write("model/tokenizer_config.json", R"({"eos_token": "</s>"})");
    std::string lines;
    for (int i = 0; i < 20; ++i)
      lines += R"({"prompt": "ab c)" + std::string(1, static_cast<char>('a' + i)) + R"(:", "completion": " d"})" + "\n";
    write("train.jsonl", lines);
    fs::copy(golden_path("lora/plain/initial"), root_ / "adapter");
  }
  ~Fixture() { fs::remove_all(root_); }

  void write(const std::string& name, const std::string& content) const {
    write_file_atomically(root_ / name, content);
  }
  std::string read(const std::string& name) const { return read_file(root_ / name); }
  std::string path(const std::string& name) const { return (root_ / name).string(); }
  /// Replaces text inside a file; the text must be there.
  void edit(const std::string& name, const std::string& from, const std::string& to) const {
    std::string content = read(name);
    const auto at = content.find(from);
    ASSERT_NE(at, std::string::npos) << name << " has no " << from;
    content.replace(at, from.size(), to);
    write(name, content);
  }
  std::string tune(const std::string& more = "") const { return tune_with("train.jsonl", "out", more); }
  std::string tune_with(const std::string& train, const std::string& out, const std::string& more = "") const {
    // What `more` says is not said twice.
    const auto unless = [&](const char* said, const std::string& text) {
      return more.find(said) == std::string::npos ? text : "";
    };
    return "--model '" + path("model") + "' --out '" + path(out) + "' " +
           unless("data.train=", "--train '" + path(train) + "' ") +
           unless("train.batch_size=", "--set train.batch_size=2 ") + unless("train.steps", "--steps 4 ") +
           unless("--trials", "--trials 2 ") + more;
  }

 private:
  fs::path root_;
};

}  // namespace finetune::testing
