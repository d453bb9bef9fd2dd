// Chat formats by name: their text, and where the loss lies.
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/chat.h"

namespace finetune::testing {
namespace {

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

}  // namespace
}  // namespace finetune::testing
