// The verb serve as its callers run it: lines through pipes and a socket, the same bits as train, files, signals, and
// the Python example.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <sstream>

#include "cli/background.h"
#include "cli/program.h"

namespace finetune::testing {
namespace {

using Json = nlohmann::ordered_json;

struct Conversation {
  int code = -1;
  std::vector<Json> answers;
  std::string said;  // on stderr
};

// All lines at once, as a client sends them that does not wait.
Conversation talk(const Fixture& fixture, const std::vector<std::string>& lines, const std::string& flags = "") {
  std::string input;
  for (const std::string& line : lines) input += line + "\n";
  fixture.write("requests", input);
  const std::string files =
      " < '" + fixture.path("requests") + "' > '" + fixture.path("answers") + "' 2> '" + fixture.path("said") + "'";
  Conversation conversation;
  conversation.code =
      run_command("'" + program_path() + "' serve --model '" + fixture.path("model") + "' " + flags + files).code;
  conversation.said = fixture.read("said");
  std::istringstream answers(fixture.read("answers"));
  for (std::string line; std::getline(answers, line);) conversation.answers.push_back(Json::parse(line));
  return conversation;
}

std::string open_line(int seed, const std::string& more = "") {
  return R"({"open":{"rank":4,"alpha":8,"seed":)" + std::to_string(seed) + more + "}}";
}

// Rows of train.jsonl, `count` from `first` on, as one list.
std::string rows(const Fixture& fixture, int first, int count) {
  std::istringstream lines(fixture.read("train.jsonl"));
  std::string list;
  int number = 0;
  for (std::string line; std::getline(lines, line); ++number) {
    if (number >= first && number < first + count) list += (list.empty() ? "" : ",") + line;
  }
  return "[" + list + "]";
}

std::string train_line(const Fixture& fixture, int slot, int first, int count) {
  return R"({"forward_backward":{"slot":)" + std::to_string(slot) + R"(,"examples":)" + rows(fixture, first, count) +
         "}}";
}

std::string step_line(int slot, const std::string& rate = "0.01") {
  return R"({"optim_step":{"slot":)" + std::to_string(slot) + R"(,"lr":)" + rate + "}}";
}

std::string save_line(const Fixture& fixture, int slot, const std::string& name, bool optimizer = false) {
  return R"({"save":{"slot":)" + std::to_string(slot) + R"(,"path":")" + fixture.path(name) + "\"" +
         (optimizer ? R"(,"optimizer":true)" : "") + "}}";
}

TEST(ServeVerb, AnswersLineByLineAndEndsWithItsInput) {
  const Fixture fixture;
  const Conversation said =
      talk(fixture, {open_line(1), R"({"slots":{},"id":7})", train_line(fixture, 0, 0, 2), "nonsense", step_line(0),
                     R"({"sample":{"slot":0,"prompts":["ab"],"n":2,"max_new_tokens":4,"seed":3},"id":"s"})",
                     R"({"forward":{"slot":null,"examples":[{"ids":[5,6,7],"weights":[1,0.5]}],"logprobs":true}})"});
  ASSERT_EQ(said.code, 0) << said.said;
  ASSERT_EQ(said.answers.size(), 7u);
  EXPECT_EQ(said.answers[0].dump(), R"({"slot":0})");
  EXPECT_EQ(said.answers[1]["id"], 7);
  EXPECT_EQ(said.answers[1]["slots"][0]["rank"], 4);
  EXPECT_EQ(said.answers[1]["free"], 15);
  EXPECT_GT(said.answers[2]["loss"].get<double>(), 0);
  EXPECT_EQ(said.answers[2]["loss_tokens"], 6);  // " ", "d" and the end, twice
  EXPECT_TRUE(said.answers[3].contains("error"));
  EXPECT_EQ(said.answers[4]["step"], 1);
  ASSERT_EQ(said.answers[5]["samples"][0].size(), 2u);
  const Json& sample = said.answers[5]["samples"][0][0];
  EXPECT_EQ(sample["ids"].size(), sample["logprobs"].size());
  EXPECT_EQ(said.answers[5]["id"], "s");
  EXPECT_EQ(said.answers[6]["logprobs"][0].size(), 2u);
}

// The adapter that `train` leaves after the same batches, and that of a slot in a pack of three: the same bytes.
TEST(ServeVerb, ASlotBecomesWhatTrainLeaves) {
  const Fixture fixture;
  const Outcome trained =
      run("train --model '" + fixture.path("model") + "' --train '" + fixture.path("train.jsonl") + "' --out '" +
          fixture.path("out") + "' --steps 3 --seed 1 --set train.batch_size=2 --set data.shuffle=false " +
          "--set data.valid_fraction=0 --set train.schedule=constant --set train.warmup_ratio=0 " +
          "--set train.learning_rate=0.01 --set train.lora.rank=4 --set train.lora.alpha=8 " +
          "--set train.lora.dropout=0.2");
  ASSERT_EQ(trained.code, 0) << trained.text;
  std::vector<std::string> lines;
  for (const int seed : {5, 1, 6}) lines.push_back(open_line(seed, R"(,"dropout":0.2)"));
  for (int step = 0; step < 3; ++step) {
    for (const int slot : {2, 0, 1}) {
      lines.push_back(train_line(fixture, slot, 2 * step, 2));
      lines.push_back(step_line(slot));
    }
  }
  lines.push_back(save_line(fixture, 1, "packed"));
  const Conversation packed = talk(fixture, lines);
  ASSERT_EQ(packed.code, 0) << packed.said;
  for (const Json& answer : packed.answers) EXPECT_FALSE(answer.contains("error")) << answer;
  const std::string name = "/adapter_model.safetensors";
  const std::string best = fs::exists(fixture.path("out/best" + name)) ? "out/best" : "out/adapter";
  EXPECT_EQ(fixture.read("packed" + name), fixture.read(best + name));
}

// Closed, and opened by another process, with gradients that wait.
TEST(ServeVerb, ASavedSlotGoesOnWhereItWas) {
  const Fixture fixture;
  const std::vector<std::string> begin{open_line(1), train_line(fixture, 0, 0, 3), step_line(0),
                                       train_line(fixture, 0, 3, 2)};
  const auto end = [&](int slot, const std::string& name) {
    return std::vector<std::string>{train_line(fixture, slot, 5, 2), step_line(slot), save_line(fixture, slot, name)};
  };
  const auto operator_plus = [](std::vector<std::string> a, const std::vector<std::string>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  };
  ASSERT_EQ(talk(fixture, operator_plus(begin, end(0, "whole"))).code, 0);
  const Conversation first =
      talk(fixture, operator_plus(begin, {save_line(fixture, 0, "half", true), save_line(fixture, 0, "half", true)}));
  EXPECT_NE(first.answers.back()["error"].get<std::string>().find("is there already"), std::string::npos);
  const std::string load = R"({"load":{"slot":1,"optimizer":true,"path":")" + fixture.path("half") + "\"}}";
  const Conversation second = talk(
      fixture,
      operator_plus({open_line(9), open_line(2), R"({"load":{"slot":1,"path":"/nowhere"}})", load}, end(1, "again")));
  EXPECT_TRUE(second.answers[2].contains("error"));
  EXPECT_EQ(second.answers[3].dump(), R"({"ok":true})");
  EXPECT_EQ(fixture.read("again/adapter_model.safetensors"), fixture.read("whole/adapter_model.safetensors"));
  // A slot that starts from the adapter alone.
  const Conversation third =
      talk(fixture, {R"({"open":{"adapter":")" + fixture.path("half") + "\"}}", save_line(fixture, 0, "copied"),
                     R"({"open":{"rank":8,"adapter":")" + fixture.path("half") + "\"}}", R"({"open":{"rank":8}})",
                     R"({"load":{"slot":1,"path":")" + fixture.path("half") + "\"}}"});
  EXPECT_EQ(fixture.read("copied/adapter_model.safetensors"), fixture.read("half/adapter_model.safetensors"));
  EXPECT_NE(third.answers[2]["error"].get<std::string>().find("open.rank"), std::string::npos) << third.answers[2];
  EXPECT_NE(third.answers[4]["error"].get<std::string>().find("another shape"), std::string::npos) << third.answers[4];
}

TEST(ServeVerb, AWrongRequestNamesItsFieldAndNobodyElseHearsOfIt) {
  const Fixture fixture;
  const std::vector<std::pair<std::string, std::string>> table{
      {R"({"forward_backward":{"examples":[]}})", "forward_backward.slot is missing"},
      {R"({"forward_backward":{"slot":3,"examples":[]}})", "slot is 3, which is not open"},
      {R"({"forward_backward":{"slot":null,"examples":[]}})", "forward_backward.slot"},
      {R"({"forward_backward":{"slot":0,"examples":[]}})", "examples"},
      {R"({"forward_backward":{"slot":0,"examples":[{"prompt":"a","completion":"b","colour":"red"}]}})", "colour"},
      {R"({"forward_backward":{"slot":0,"examples":[{"text":"ab"},{"ids":[1,99],"weights":[1]}]}})",
       "examples[1].ids[1] is 99"},
      {R"({"forward_backward":{"slot":0,"examples":[{"ids":[1,2]}]}})", "weights is missing"},
      {R"({"forward_backward":{"slot":0,"examples":[{"ids":[1,2],"weights":[1,1]}]}})", "first token"},
      {R"({"forward_backward":{"slot":0,"examples":[{"ids":[1,2],"weights":[0]}]}})", "no token that carries loss"},
      {R"({"forward_backward":{"slot":0,"examples":[{"ids":[1,2],"weights":[1],"logprobs":[0]}]}})",
       "logprobs has no meaning"},
      {R"({"forward_backward":{"slot":0,"loss":"dro","examples":[{"text":"ab"}]}})", "known are cross_entropy"},
      {R"({"forward_backward":{"slot":0,"loss":"ppo","examples":[{"text":"ab"}]}})", "ids is missing"},
      {R"({"forward_backward":{"slot":0,"loss":"ppo","examples":[{"ids":[1,2],"logprobs":[-1]}]}})",
       "advantages is missing"},
      {R"({"forward_backward":{"slot":0,"loss":"ppo","examples":[{"ids":[1,2],"logprobs":[-1],"advantages":[1,2]}]}})",
       "advantages has 2"},
      {R"({"forward_backward":{"slot":0,"clip_low":0.5,"examples":[{"text":"ab"}]}})", "clip_low has no meaning"},
      {R"({"forward_backward":{"slot":0,"divisor":0,"examples":[{"text":"ab"}]}})", "divisor is 0"},
      {R"({"optim_step":{"slot":0}})", "optim_step.lr is missing"},
      {R"({"optim_step":{"slot":0,"lr":-1}})", "optim_step.lr is -1"},
      {R"({"optim_step":{"slot":0,"lr":1e-3,"betas":[0.9]}})", "betas"},
      {R"({"optim_step":{"slot":0,"lr":1e-3,"beta1":0.9}})", "beta1 has no meaning"},
      {R"({"sample":{"slot":0,"prompts":["a"]}})", "sample.seed is missing"},
      {R"({"sample":{"slot":0,"prompts":["a"],"temperature":0,"top_p":0}})", "top_p is 0"},
      {R"({"sample":{"slot":0,"prompts":[{"ids":[77]}],"temperature":0}})", "prompts[0].ids[0] is 77"},
      {R"({"sample":{"slot":0,"prompts":[{"text":"a"}],"temperature":0}})", "prompts[0]"},
      {R"({"sample":{"slot":0,"prompts":["a","abcde"],"temperature":0,"max_new_tokens":61}})",
       "sample.prompts[1]: the prompt has 5 tokens, and behind it the model's 64 positions have room for 60"},
      {R"({"open":{"rank":17}})", "rank: the service has room for 16"},
      {R"({"open":{"rank":0}})", "open.rank"},
      {R"({"open":{"dropout":0.1,"dora":true}})", "dora"},
      {R"({"open":{"targets":"nothing"}})", "nothing"},
      {R"({"open":{"adapter":"/nowhere"}})", "/nowhere"},
      {R"({"close":{"slot":-1}})", "close.slot is -1"},
      {R"({"shutdown":{"now":true}})", "shutdown.now"}};
  std::vector<std::string> lines{open_line(1), train_line(fixture, 0, 0, 2)};
  for (const auto& [line, word] : table) lines.push_back(line);
  lines.push_back(step_line(0));
  lines.push_back(save_line(fixture, 0, "after"));
  const Conversation said = talk(fixture, lines);
  ASSERT_EQ(said.code, 0) << said.said;
  ASSERT_EQ(said.answers.size(), lines.size());
  for (std::size_t i = 0; i < table.size(); ++i) {
    const Json& answer = said.answers[i + 2];
    ASSERT_TRUE(answer.contains("error")) << table[i].first << "\n" << answer;
    EXPECT_NE(answer["error"].get<std::string>().find(table[i].second), std::string::npos) << table[i].first << "\n"
                                                                                           << answer;
  }
  talk(fixture, {open_line(1), train_line(fixture, 0, 0, 2), step_line(0), save_line(fixture, 0, "alone")});
  EXPECT_EQ(fixture.read("after/adapter_model.safetensors"), fixture.read("alone/adapter_model.safetensors"));
}

TEST(ServeVerb, AnUnusableStartIsOneLineAndExitCodeTwo) {
  const Fixture fixture;
  fixture.write("file", "no socket");
  const std::string model = "--model '" + fixture.path("model") + "' ";
  const std::vector<std::pair<std::string, std::string>> table{
      {"", "--model"},
      {model + "--slots 0", "--slots is 0"},
      {model + "--slots 60000 --set train.lora.rank=4096", "--slots 60000: they need"},
      {model + "--set train.steps=3", "train.steps has no meaning"},
      {model + "--set train.lora.rnak=3", "rank"},
      {model + "--socket '" + fixture.path("file") + "'", "no socket"},
      {model + "--socket '" + fixture.path(std::string(120, 'x')) + "'", "at most 107"}};
  for (const auto& [flags, word] : table) {
    const Outcome outcome = run("serve " + flags + " < /dev/null");
    EXPECT_EQ(outcome.code, 2) << flags << outcome.text;
    EXPECT_NE(outcome.text.find(word), std::string::npos) << flags << outcome.text;
  }
}

TEST(ServeVerb, AHugeLineIsSkippedAndALastLineNeedsNoEnd) {
  const Fixture fixture;
  const std::string input = "{ head -c 70000000 /dev/zero | tr '\\0' a; printf '\\n{\"slots\":{}}\\n{\"open\":{}}'; }";
  const Outcome outcome =
      run_command(input + " | '" + program_path() + "' serve --model '" + fixture.path("model") + "' 2>/dev/null");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(std::count(outcome.text.begin(), outcome.text.end(), '\n'), 3) << outcome.text;
  EXPECT_TRUE(outcome.text.starts_with("{\"error\":\"a line is longer than 64 MiB")) << outcome.text;
  EXPECT_TRUE(outcome.text.ends_with("{\"slot\":0}\n")) << outcome.text;
}

// A client of a socket; every answer is waited for.
class SocketClient {
 public:
  explicit SocketClient(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~SocketClient() { ::close(socket_); }
  SocketClient(const SocketClient&) = delete;
  SocketClient& operator=(const SocketClient&) = delete;
  bool connected() const { return connected_; }
  void send(const std::string& line) const {
    const std::string text = line + "\n";
    EXPECT_EQ(::send(socket_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  std::string receive() {
    for (std::size_t end = 0;;) {
      if ((end = text_.find('\n')) != std::string::npos) {
        const std::string line = text_.substr(0, end);
        text_.erase(0, end + 1);
        return line;
      }
      char buffer[4096];
      const ssize_t got = ::recv(socket_, buffer, sizeof buffer, 0);
      if (got <= 0) return "(end)";
      text_.append(buffer, static_cast<std::size_t>(got));
    }
  }
  void end_of_requests() const { ::shutdown(socket_, SHUT_WR); }

 private:
  int socket_;
  bool connected_ = false;
  std::string text_;
};

std::string serve_command(const Fixture& fixture) {
  return "'" + program_path() + "' serve --model '" + fixture.path("model") + "' --socket '" + fixture.path("s") + "'";
}

TEST(ServeVerb, SeveralClientsShareASocket) {
  const Fixture fixture;
  const std::string path = fixture.path("s");
  Background killed(serve_command(fixture), fixture.path("first"));
  ASSERT_TRUE(killed.wait_until([&] { return fs::exists(path); })) << killed.said();
  EXPECT_EQ(run_command(serve_command(fixture) + " < /dev/null").code, 2);  // somebody listens
  killed.send(SIGKILL);
  killed.wait();
  EXPECT_FALSE(SocketClient(path).connected());
  Background service(serve_command(fixture), fixture.path("second"));  // in place of a socket that nobody serves
  ASSERT_TRUE(service.wait_until([&] { return SocketClient(path).connected(); })) << service.said();
  struct stat status = {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  SocketClient one(path), other(path);
  {
    const SocketClient gone(path);
    gone.send(open_line(3));
  }
  one.send(open_line(1));
  const std::string mine = one.receive();
  other.send(open_line(2));
  EXPECT_NE(other.receive(), mine);
  other.send(R"({"slots":{}})");
  other.end_of_requests();
  EXPECT_NE(other.receive().find("\"slots\""), std::string::npos);
  EXPECT_EQ(other.receive(), "(end)");
  one.send(R"({"shutdown":{}})");
  EXPECT_EQ(one.receive(), R"({"ok":true})");
  EXPECT_EQ(service.wait().code, 0) << service.said();
  EXPECT_FALSE(fs::exists(path));
}

TEST(ServeVerb, AsManyTokensAsThereArePositionsMayBeAskedFor) {
  const Fixture fixture;
  const Conversation said =
      talk(fixture, {R"({"sample":{"slot":null,"prompts":["abcde"],"temperature":0,"max_new_tokens":60}})",
                     R"({"sample":{"slot":null,"prompts":["abcde"],"temperature":0}})"});
  ASSERT_EQ(said.answers.size(), 2u);
  EXPECT_EQ(said.answers[0]["samples"][0][0]["ids"].size(), 60u) << said.answers[0];
  EXPECT_EQ(said.answers[0], said.answers[1]);  // where nobody says how many
}

TEST(ServeVerb, ASignalEndsItWhileItWaits) {
  const Fixture fixture;
  Background service(serve_command(fixture), fixture.path("said"));
  ASSERT_TRUE(service.wait_until([&] { return fs::exists(fixture.path("s")); })) << service.said();
  service.send(SIGTERM);
  EXPECT_EQ(service.wait().code, 130) << service.said();
  EXPECT_FALSE(fs::exists(fixture.path("s")));
}

// Each would take minutes: the first is under way when the signal comes, the second waits.
TEST(ServeVerb, ASignalEndsWhatIsUnderWayAndSaysSo) {
  const Fixture fixture;
  std::string examples = rows(fixture, 0, 20);
  for (int i = 0; i < 12; ++i) examples = examples.substr(0, examples.size() - 1) + "," + examples.substr(1);
  const std::string train = R"({"forward_backward":{"slot":0,"examples":)" + examples + "}}";
  const std::string sample =
      R"({"sample":{"slot":0,"prompts":["ab"],"n":60000,"seed":1,"stop":["no such text"]},"id":"texts"})";
  for (const auto& [first, second] : {std::pair(train, sample), std::pair(sample, train)}) {
    fixture.write("requests", open_line(1) + "\n" + first + "\n" + second + "\n");
    Background service(
        "'" + program_path() + "' serve --model '" + fixture.path("model") + "' < '" + fixture.path("requests") + "'",
        fixture.path(first == train ? "said-train" : "said-sample"));
    ASSERT_TRUE(service.wait_until([&] { return service.has_said("\"slot\":0"); })) << service.said();
    service.send(SIGINT);
    const Outcome outcome = service.wait();
    EXPECT_EQ(outcome.code, 130) << outcome.text;
    EXPECT_FALSE(service.was_killed());
    EXPECT_NE(outcome.text.find("interrupted: ending between two passes; requests under way"), std::string::npos);
    const std::string error = R"("error":"the service was interrupted and is ending: nothing of this was done"})";
    const std::string answers = first == train ? "{" + error + "\n" + R"({"id":"texts",)" + error + "\n"
                                               : R"({"id":"texts",)" + error + "\n{" + error + "\n";
    EXPECT_TRUE(outcome.text.ends_with(answers)) << outcome.text.substr(0, 2000);
  }
}

// The share of texts that the reward accepts rises.
TEST(ServeVerb, TheExampleLearnsWhatItsRewardAccepts) {
  const Fixture fixture;
  const Outcome outcome =
      run_command("python3 '" + source_dir() + "/src/examples/serve_rejection_sampling.py" + "' '" + program_path() +
                  "' '" + fixture.path("model") + "' --accept '^[^a-e]*$' --rounds 6 --lr 0.01 2>&1");
  ASSERT_EQ(outcome.code, 0) << outcome.text;
  std::vector<int> accepted;
  std::istringstream lines(outcome.text);
  for (std::string line; std::getline(lines, line);) {
    const auto colon = line.find(": "), of = line.find(" of 64");  // "round 1: 12 of 64"
    if (line.starts_with("round ") && of != std::string::npos)
      accepted.push_back(std::stoi(line.substr(colon + 2, of - colon - 2)));
  }
  ASSERT_EQ(accepted.size(), 6u) << outcome.text;
  EXPECT_GT(accepted[4] + accepted[5], accepted[0] + accepted[1] + 24) << outcome.text;
}

}  // namespace
}  // namespace finetune::testing
