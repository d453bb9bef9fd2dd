// The verb generate on the built program.
#include "cli/background.h"
#include "cli/program.h"

namespace finetune::testing {
namespace {

using Json = nlohmann::ordered_json;

std::vector<Json> lines_of(const std::string& text) {
  std::vector<Json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("{")) lines.push_back(Json::parse(line));
  }
  return lines;
}

class GenerateVerb : public ::testing::Test {
 protected:
  std::string on(const std::string& more) const { return "generate --model '" + f_.path("model") + "' " + more; }
  std::string completion(const std::string& more) const {
    const Outcome outcome = run(on(more + " --json"));
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    const auto lines = lines_of(outcome.text);
    EXPECT_EQ(lines.size(), 1u) << outcome.text;
    return lines.empty() ? "" : lines[0].at("completion").get<std::string>();
  }
  const Fixture f_;
};

TEST_F(GenerateVerb, GivesALineOfJsonForEachRowInTheirOrder) {
  f_.write("rows.jsonl",
           "{\"prompt\": \"ab c\"}\n{\"prompt\": \"\"}\n{\"prompt\": \"zz top:\", \"completion\": \"x\"}\n");
  f_.edit("model/tokenizer_config.json", "{", "{\"bos_token\": \"<s>\", ");
  f_.edit(
      "model/tokenizer.json", "\"model\"",
      R"("post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],"special_tokens":{"<s>":{"ids":[1]}}},"model")");
  const Outcome all = run(on("--data '" + f_.path("rows.jsonl") + "' --max-new-tokens 9 --json"));
  ASSERT_EQ(all.code, 0) << all.text;
  const auto lines = lines_of(all.text);
  ASSERT_EQ(lines.size(), 3u) << all.text;
  EXPECT_EQ(lines[0].at("prompt"), "ab c");
  EXPECT_EQ(lines[2].at("prompt"), "zz top:");
  for (const Json& line : lines) {
    EXPECT_GE(line.at("tokens").get<int>(), 1);
    EXPECT_LE(line.at("tokens").get<int>(), 9);
    EXPECT_EQ(line.size(), 3u);
  }
  // A row becomes what it becomes alone.
  EXPECT_EQ(completion("--prompt 'ab c' --max-new-tokens 9"), lines[0].at("completion"));
  EXPECT_EQ(completion("--prompt 'zz top:' --max-new-tokens 9"), lines[2].at("completion"));
}

TEST_F(GenerateVerb, WithoutJsonThereIsTheTextAlone) {
  const std::string expected = completion("--prompt 'ab c' --max-new-tokens 9");
  const Outcome outcome = run(on("--prompt 'ab c' --max-new-tokens 9"));
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.text, expected + "\n");
  const Outcome rows = run(on("--data '" + f_.path("train.jsonl") + "' --max-new-tokens 2"));
  EXPECT_NE(rows.text.find("# " + f_.path("train.jsonl") + ":20\n"), std::string::npos) << rows.text;
  // A person who looks on sees the same bytes.
  const Outcome terminal = run_command("script -qec \"'" + program_path() + "' " +
                                       on("--prompt 'ab c' --max-new-tokens 9") + "\" /dev/null");
  EXPECT_EQ(terminal.text, expected + "\r\n");
}

TEST_F(GenerateVerb, AnAdapterAndAStopTextChangeWhatIsWritten) {
  const std::string base = completion("--prompt 'ab c' --max-new-tokens 12");
  const std::string adapter = golden_path("lora/plain/final").string();
  EXPECT_NE(completion("--prompt 'ab c' --max-new-tokens 12 --adapter '" + adapter + "'"), base);
  ASSERT_GE(base.size(), 4u);
  const std::string stop = base.substr(2, 1);
  EXPECT_EQ(completion("--prompt 'ab c' --max-new-tokens 12 --stop '" + stop + "'"), base.substr(0, base.find(stop)));
}

// What may yet turn out to be the stop text is not shown.
TEST_F(GenerateVerb, NothingOfAStopTextIsSeenOnATerminal) {
  const std::string base = completion("--prompt 'ab c' --max-new-tokens 12");
  ASSERT_GE(base.size(), 6u);
  const std::string stop = base.substr(2, 3);
  const Outcome terminal =
      run_command("script -qec \"'" + program_path() + "' " +
                  on("--prompt 'ab c' --max-new-tokens 12 --stop '" + stop + "'") + "\" /dev/null");
  EXPECT_EQ(terminal.text, base.substr(0, base.find(stop)) + "\r\n");
}

TEST_F(GenerateVerb, EndsWithTheTokensOfGenerationConfig) {
  const std::string base = completion("--prompt 'ab c' --max-new-tokens 12");
  const char last = base.back();  // letters are 3 + their place
  ASSERT_TRUE(last >= 'a' && last <= 'z') << base;
  f_.write("model/generation_config.json", "{\"eos_token_id\": [2, " + std::to_string(3 + last - 'a') + "]}");
  EXPECT_EQ(completion("--prompt 'ab c' --max-new-tokens 12"), base.substr(0, base.find(last)));
}

TEST_F(GenerateVerb, SaysThatATextEndsAtTheModelsLastPosition) {
  const Outcome outcome = run(on("--prompt '" + std::string(60, 'a') + "' --max-new-tokens 50"));
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.text.find("the text ends at the model's 64 positions"), std::string::npos) << outcome.text;
  EXPECT_EQ(run(on("--prompt 'ab' --max-new-tokens 5")).text.find("positions"), std::string::npos);
}

TEST_F(GenerateVerb, ChatWritesTheTemplateAroundThePrompt) {
  f_.edit(
      "model/tokenizer_config.json", "{",
      R"({"chat_template": "{% for m in messages %}{{ m.role }}:{{ m.content }}.{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}", )");
  const Outcome outcome = run(on("--prompt 'ab' --chat --max-new-tokens 3 --json"));
  ASSERT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_EQ(lines_of(outcome.text)[0].at("prompt"), "user:ab.assistant:") << outcome.text;
  EXPECT_NE(outcome.text.find("chat template"), std::string::npos);
}

// What was done by then is there, whole, in its order; what was not is counted.
TEST_F(GenerateVerb, CtrlCLeavesTheTextsThatAreDone) {
  constexpr int kRows = 60'000;  // some 60 batches of texts side by side: seconds, of which the first ends it
  std::string rows;
  for (int i = 0; i < kRows; ++i)
    rows += R"({"prompt": "ab c"})"
            "\n";
  f_.write("rows.jsonl", rows);
  for (const int signal : {SIGINT, SIGTERM}) {
    Background texts("'" + program_path() + "' " + on("--json --data '" + f_.path("rows.jsonl") + "'"),
                     f_.path("said" + std::to_string(signal)));
    ASSERT_TRUE(texts.wait_until([&] { return texts.has_said("\"completion\""); })) << texts.said();
    texts.send(signal);
    const Outcome outcome = texts.wait();
    EXPECT_EQ(outcome.code, 130);
    EXPECT_FALSE(texts.was_killed());
    EXPECT_NE(outcome.text.find("interrupted: ending with this token"), std::string::npos);
    const auto done = std::ssize(lines_of(outcome.text));
    EXPECT_LT(done, kRows);
    EXPECT_TRUE(outcome.text.ends_with("interrupted: " + std::to_string(done) + " of 60000 texts are done\n"));
  }
}

// A single text of an hour.
TEST_F(GenerateVerb, CtrlCEndsATextThatHasNoEnd) {
  f_.edit("model/config.json", "\"max_position_embeddings\": 64", "\"max_position_embeddings\": 100000");
  f_.edit("model/config.json", "\"eos_token_id\": 2,", "");
  f_.write("model/tokenizer_config.json", "{}");
  Background text("'" + program_path() + "' " + on("--prompt ab --max-new-tokens 90000"), f_.path("said"));
  ASSERT_TRUE(text.wait_until([&] { return text.has_said("the checkpoint names no end token"); })) << text.said();
  text.send(SIGINT);
  const Outcome outcome = text.wait();
  EXPECT_EQ(outcome.code, 130) << outcome.text;
  EXPECT_TRUE(outcome.text.ends_with("interrupted: 0 of 1 texts are done\n")) << outcome.text;
}

TEST_F(GenerateVerb, BadInputIsOneLine) {
  const auto refused = [&](const std::string& more, const std::string& word) {
    const Outcome outcome = run(on(more));
    EXPECT_EQ(outcome.code, 2) << outcome.text;
    EXPECT_EQ(std::count(outcome.text.begin(), outcome.text.end(), '\n'), 1) << outcome.text;
    EXPECT_NE(outcome.text.find(word), std::string::npos) << outcome.text;
  };
  refused("", "--prompt TEXT or --data FILE");
  refused("--prompt a --data '" + f_.path("train.jsonl") + "'", "--prompt and --data");
  refused("--prompt a --max-new-tokens 0", "--max-new-tokens");
  refused("--prompt a --max-new-tokens 1.5", "--max-new-tokens");
  refused("--data /no/d", "/no/d");
  refused("--prompt a --set data.max_length=3", "data.max_length means nothing to generate");
  refused("--prompt '" + std::string(65, 'a') + "'", "65 tokens, and the model 64 positions");
  f_.write("rows.jsonl", "{\"prompt\": \"ab\"}\n{\"prompt\": \"" + std::string(65, 'a') + "\"}\n");
  refused("--data '" + f_.path("rows.jsonl") + "'", "rows.jsonl:2");
  f_.write("empty.jsonl", "");
  refused("--data '" + f_.path("empty.jsonl") + "'", "empty.jsonl");
  for (const std::string wrong : {"61", "-1", "1.5", "\"a\"", "[2, 99999999999]", "{}"}) {
    f_.write("model/generation_config.json", "{\"eos_token_id\": " + wrong + "}");
    refused("--prompt a", "eos_token_id");
  }
}

}  // namespace
}  // namespace finetune::testing
