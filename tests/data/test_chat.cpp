// Chat templates: text as Jinja renders it, where the loss lies, and which format a checkpoint's template stands for.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/strict_json.h"
#include "data/chat.h"
#include "support/places.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

const fs::path kSamples = fs::path(source_dir()) / ".." / "shared" / "samples" / "chat";

const std::vector<Message> kTalk{
    {"system", "Be kind."}, {"user", "Hello"}, {"assistant", "Hi there"}, {"user", "More"}, {"assistant", "Yes"}};

std::string trained_text(const Rendered& rendered) {
  std::string text;
  for (const auto& [begin, end] : rendered.trained) text += "<" + rendered.text.substr(begin, end - begin) + ">";
  return text;
}

struct Expected {
  const char* name;
  std::string text, trained;
};

class ChatFormat : public ::testing::TestWithParam<Expected> {};

TEST_P(ChatFormat, TextAndLossAreThoseOfTheTemplate) {
  const Rendered rendered = render_chat(GetParam().name, kTalk, "<s>", "</s>");
  EXPECT_EQ(rendered.text, GetParam().text);
  EXPECT_EQ(trained_text(rendered), GetParam().trained);
  EXPECT_TRUE(rendered.conversation);
}

// The templates of the checkpoints, worked out by hand.
INSTANTIATE_TEST_SUITE_P(
    All, ChatFormat,
    ::testing::Values(
        Expected{"chatml",
                 "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nHi "
                 "there<|im_end|>\n"
                 "<|im_start|>user\nMore<|im_end|>\n<|im_start|>assistant\nYes<|im_end|>\n",
                 "<Hi there<|im_end|>><Yes<|im_end|>>"},
        Expected{"llama2",
                 "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHello [/INST] Hi there </s><s>[INST] More [/INST] Yes </s>",
                 "<Hi there </s>><Yes </s>>"},
        Expected{"llama3",
                 "<s><|start_header_id|>system<|end_header_id|>\n\nBe "
                 "kind.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>"
                 "<|start_header_id|>assistant<|end_header_id|>\n\nHi "
                 "there<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nMore<|eot_id|>"
                 "<|start_header_id|>assistant<|end_header_id|>\n\nYes<|eot_id|>",
                 "<Hi there<|eot_id|>><Yes<|eot_id|>>"},
        Expected{"mistral", "<s>[INST]Hello[/INST]Hi there</s>[INST]Be kind.\n\nMore[/INST]Yes</s>",
                 "<Hi there</s>><Yes</s>>"},
        Expected{"phi3",
                 "<|system|>\nBe kind.<|end|>\n<|user|>\nHello<|end|>\n<|assistant|>\nHi "
                 "there<|end|>\n<|user|>\nMore<|end|>\n"
                 "<|assistant|>\nYes<|end|>\n</s>",
                 "<Hi there<|end|>><Yes<|end|>>"},
        Expected{"zephyr",
                 "<|system|>\nBe kind.</s>\n<|user|>\nHello</s>\n<|assistant|>\nHi "
                 "there</s>\n<|user|>\nMore</s>\n<|assistant|>\nYes</s>\n",
                 "<Hi there</s>><Yes</s>>"},
        Expected{"alpaca",
                 "Be kind.\n\n### Instruction:\nHello\n\n### Response:\nHi there</s>\n\n### Instruction:\nMore\n\n### "
                 "Response:\nYes</s>",
                 "<Hi there</s>><Yes</s>>"},
        Expected{"plain", "Be kind.\n\nUser: Hello\nAssistant:Hi there</s>\nUser: More\nAssistant:Yes</s>\n",
                 "<Hi there</s>><Yes</s>>"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Chat, GemmaHasNoSystemMessage) {
  const std::vector<Message> talk(kTalk.begin() + 1, kTalk.end());
  EXPECT_EQ(render_chat("gemma", talk, "<bos>", "<eos>").text,
            "<bos><start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\nHi "
            "there<end_of_turn>\n<start_of_turn>user\nMore<end_of_turn>\n"
            "<start_of_turn>model\nYes<end_of_turn>\n");
  EXPECT_THROW(render_chat("gemma", kTalk, "<bos>", "<eos>"), Error);
}

TEST(Chat, ATurnThatIsNotTrainedHasNoLoss) {
  auto talk = kTalk;
  talk[2].trained = false;
  EXPECT_EQ(trained_text(render_chat("chatml", talk, "", "")), "<Yes<|im_end|>>");
}

TEST(Chat, RefusesWhatItCannotRender) {
  EXPECT_THROW(render_chat("chatml", {{"user", "a"}}, "", ""), Error);
  EXPECT_THROW(render_chat("chatml", {{"tool", "a"}, {"assistant", "b"}}, "", ""), Error);
  EXPECT_THROW(render_chat("chatml", {{"user", "a"}, {"system", "s"}, {"assistant", "b"}}, "", ""), Error);
  EXPECT_THROW(render_chat("llama2", {{"user", "a"}, {"user", "a"}, {"assistant", "b"}}, "", ""), Error);
  EXPECT_THROW(render_chat("chatm", kTalk, "", ""), Error);
}

std::vector<Message> messages_of(const Json& list) {
  std::vector<Message> messages;
  for (const auto& message : list)
    messages.push_back({message["role"].get<std::string>(), message["content"].get<std::string>()});
  return messages;
}

std::string without(std::string text, const std::string& start) {
  return !start.empty() && text.starts_with(start) ? text.substr(start.size()) : text;
}

// Renderings that end with an assistant's turn equal ours; ones that end earlier begin with ours, up to that turn.
void compare(const std::string& format, const std::vector<Message>& messages, const std::string& expected,
             const std::string& bos, const std::string& eos) {
  auto whole = messages;
  const bool open = whole.back().role != "assistant";
  if (open) whole.push_back({"assistant", "\x01"});
  const std::string text = without(render_chat(format, whole, bos, eos).text, bos), wanted = without(expected, bos);
  if (!open) {
    EXPECT_EQ(text, wanted) << format;
    return;
  }
  // A generation prompt is the part of the assistant's turn before its content.
  const std::string prompt = text.substr(0, text.find('\x01'));
  EXPECT_TRUE(prompt.starts_with(wanted) || wanted.starts_with(prompt) ||
              (wanted.ends_with(eos) && prompt.starts_with(wanted.substr(0, wanted.size() - eos.size()))))
      << format << "\n"
      << prompt << "\n--- wanted\n"
      << wanted;
}

TEST(ChatSamples, AKnownTemplateIsRenderedAsJinjaRendersIt) {
  if (!fs::exists(kSamples)) GTEST_SKIP() << kSamples << " is absent";
  int compared = 0;
  const Json cases = read_json_file((kSamples / "template_renderings_jinja2.json").string())["cases"];
  for (const auto& one : cases) {
    const std::string jinja = read_file(kSamples / "templates" / one["template"].get<std::string>());
    const std::string format = recognise_chat_template(jinja);
    ASSERT_NE(format, "") << one["template"];
    const bool prompted = one["add_generation_prompt"].get<bool>() && one["messages"].back()["role"] == "assistant";
    if (!one["error"].is_null() || prompted) continue;  // nobody trains on an answer that another begins after
    SCOPED_TRACE(one["template"].get<std::string>());
    compare(format, messages_of(one["messages"]), one["rendered"].get<std::string>(),
            one["bos_token"].get<std::string>(), one["eos_token"].get<std::string>());
    ++compared;
  }
  EXPECT_GE(compared, 40);
}

// Those of published checkpoints that are a known format under another spelling; any other must stay unknown.
const std::map<std::string, std::string> kPublished{
    {"Llama-3", "llama3"},
    {"Mistral-Nemo-Instruct-2407 (mistralai 'v3-tekken' template; modified to have system prompt at start)", "mistral"},
    {"bofenghuang/vigogne-2-70b-chat", "llama2"},
    {"google/gemma-7b-it", "gemma"},
    {"teknium/OpenHermes-2.5-Mistral-7B", "chatml"},
};

TEST(ChatSamples, APublishedTemplateIsTheFormatThatRendersTheSame) {
  if (!fs::exists(kSamples)) GTEST_SKIP() << kSamples << " is absent";
  const Json file = read_json_file((kSamples / "llamacpp_chat_template_vectors.json").string());
  const auto conversation = messages_of(file["conversation"]);
  std::map<std::string, std::string> recognised;
  for (const auto& one : file["cases"]) {
    const std::string format = recognise_chat_template(one["chat_template"].get<std::string>());
    if (format.empty()) continue;
    recognised[one["name"].get<std::string>()] = format;
    if (one["rendered_jinja2_hf"].is_null()) continue;  // the template refuses the system message of the conversation
    SCOPED_TRACE(one["name"].get<std::string>());
    compare(format, conversation, one["rendered_jinja2_hf"].get<std::string>(), one["bos_token"].get<std::string>(),
            one["eos_token"].get<std::string>());
  }
  EXPECT_EQ(recognised, kPublished);
}

}  // namespace
}  // namespace finetune::testing
