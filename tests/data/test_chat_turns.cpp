// What of a conversation is trained under a template of the checkpoint: generation blocks, or what the template writes
// for the assistant's turns, however it rewrites earlier ones.
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/chat_template.h"

namespace finetune::testing {
namespace {

using Json = nlohmann::ordered_json;

struct NoTokenizer : Tokenizer {
  Encoding encode(std::string_view, bool) const override { return {}; }
  std::string decode(std::span<const std::int32_t>) const override { return ""; }
  std::int64_t vocab_size() const override { return 0; }
  std::optional<std::int32_t> token_to_id(std::string_view) const override { return std::nullopt; }
  std::string id_to_token(std::int32_t) const override { return ""; }
};

Rendered render(const std::string& source, const std::string& row) {
  NoTokenizer tokenizer;
  tokenizer.chat_template = source;
  tokenizer.chat_template_file = "chat_template.jinja";
  tokenizer.special_tokens = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
  const auto chat = open_chat_template("auto", "2024-07-26", tokenizer);
  return chat->render(conversation_of(Json::parse(row), "messages", {}), true);
}

std::vector<std::string> trained(const std::string& source, const std::string& row) {
  const Rendered rendered = render(source, row);
  std::vector<std::string> parts;
  for (const auto& [begin, end] : rendered.trained) parts.push_back(rendered.text.substr(begin, end - begin));
  return parts;
}

std::string error_of(const std::string& source, const std::string& row) {
  try {
    render(source, row);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

using Parts = std::vector<std::string>;

const std::string kTalk =
    R"({"messages":[{"role":"user","content":"q1"},{"role":"assistant","content":"a1"},{"role":"user","content":"q2"},{"role":"assistant","content":"a2"}]})";
const std::string kThoughts =
    R"({"messages":[{"role":"user","content":"q1"},{"role":"assistant","content":"<think>\nt1\n</think>\n\na1"},{"role":"user","content":"q2"},{"role":"assistant","content":"<think>\nt2\n</think>\n\na2"}]})";

const std::string kChatml =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant{{ '\n' }}{% endif %}";

TEST(Turns, BeginBehindTheGenerationPromptAndEndWithTheMark) {
  EXPECT_EQ(trained(kChatml, kTalk), (Parts{"a1<|im_end|>", "a2<|im_end|>"}));
}

TEST(Turns, ADefaultSystemTurnIsNotTrained) {
  const std::string source =
      "{% if messages[0].role != 'system' %}<|im_start|>system\nBe good.<|im_end|>\n{% endif %}" + kChatml;
  EXPECT_EQ(trained(source, kTalk), (Parts{"a1<|im_end|>", "a2<|im_end|>"}));
  EXPECT_TRUE(render(source, kTalk).text.starts_with("<|im_start|>system\nBe good."));
}

// Thoughts before the last question vanish, and the last answer has an empty block where it has none.
const std::string kDropping =
    "{% set ns = namespace(last=-1) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}"
    "{% endif %}{% endfor %}{% for m in messages %}{% if m.role == 'assistant' %}{% set content = m.content %}"
    "{% set thoughts = '' %}{% if '</think>' in content %}"
    "{% set thoughts = content.split('</think>')[0].split('<think>')[-1].strip() %}"
    "{% set content = content.split('</think>')[-1].strip() %}{% endif %}{{ '<|a|>\n' }}"
    "{% if loop.index0 > ns.last %}{{ '<think>\n' + thoughts + '\n</think>\n\n' }}{% endif %}{{ content + '<|end|>\n' "
    "}}"
    "{% else %}{{ '<|u|>\n' + m.content + '<|end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|a|>\n' }}{% endif %}";

TEST(Turns, AreTrainedInTheTextThatTheConversationHas) {
  EXPECT_EQ(trained(kDropping, kThoughts), (Parts{"a1<|end|>", "<think>\nt2\n</think>\n\na2<|end|>"}));
  EXPECT_EQ(trained(kDropping, kTalk), (Parts{"a1<|end|>", "a2<|end|>"})) << "no empty block";
}

TEST(Turns, AnEmptyBlockThatTheMessageItselfWritesIsTrained) {
  const std::string row =
      R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"<think>\n\n</think>\n\na"}]})";
  EXPECT_EQ(trained(kChatml, row), (Parts{"<think>\n\n</think>\n\na<|im_end|>"}));
  EXPECT_EQ(trained(kDropping, row), (Parts{"a<|end|>"})) << "the template writes it whatever the message says";
}

TEST(Turns, APromptThatOpensAThoughtIsNotTrained) {
  const std::string source =
      "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}"
      "{% if add_generation_prompt %}<|assistant|><think>{{ '\n' }}{% endif %}";
  EXPECT_EQ(trained(source, kTalk), (Parts{"a1</s>", "a2</s>"}));
  EXPECT_EQ(trained(source, kThoughts), (Parts{"t1\n</think>\n\na1</s>", "t2\n</think>\n\na2</s>"}));
}

TEST(Turns, WhatEndsTheConversationIsNoPartOfATurn) {
  const std::string source =
      "{% for m in messages %}<|{{ m.role }}|>{{ '\n' + m.content }}<|end|>{{ '\n' }}{% endfor %}"
      "{% if add_generation_prompt %}<|assistant|>{{ '\n' }}{% else %}{{ eos_token }}{% endif %}";
  EXPECT_EQ(trained(source, kTalk), (Parts{"a1<|end|>", "a2<|end|>"}));
  const std::string unmarked =
      "{% for m in messages %}{{ m.role | upper }}: {{ m.content }}{{ '\n' }}{% endfor %}"
      "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% else %}{{ eos_token }}{% endif %}";
  EXPECT_EQ(trained(unmarked, kTalk).back(), " a2\n</s>") << "else no answer would end";
}

TEST(Turns, AMarkThatIsWrittenOnlyWhereMoreFollowsBelongsToTheTurn) {
  const std::string source =
      "{% for m in messages %}<|im_start|>{{ m.role + '\n' + m.content }}"
      "{% if not loop.last or add_generation_prompt %}<|im_end|>{{ '\n' }}{% endif %}{% endfor %}"
      "{% if add_generation_prompt %}<|im_start|>assistant{{ '\n' }}{% endif %}";
  EXPECT_EQ(trained(source, kTalk), (Parts{"a1<|im_end|>", "a2"}));
}

TEST(Turns, CallsOfToolsAreTrainedAndTheirResultsNot) {
  const std::string source =
      "{% for m in messages %}<|{{ m.role }}|>{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% else %}{{ m.content }}"
      "{% endif %}</s>{{ '\n' }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";
  const std::string row =
      R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"name":"f"}]},{"role":"tool","content":"r"},{"role":"assistant","content":"a"}],"tools":"[{\"name\":\"f\"}]"})";
  EXPECT_EQ(trained(source, row), (Parts{"[{\"name\": \"f\"}]</s>", "a</s>"}));
}

TEST(Turns, ATemplateWithoutAGenerationPromptIsSplitWhereItsTextGrows) {
  EXPECT_EQ(trained("{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %} "
                    "{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}",
                    kTalk),
            (Parts{" a1</s>", " a2</s>"}));
}

TEST(Turns, AConversationThatCannotBeSplitIsRefused) {
  const std::string sorted =
      "{% for m in messages | sort(attribute='content') %}{{ m.content }};{% endfor %}"
      "{% if add_generation_prompt %}>{% endif %}{{ messages | length }}";
  EXPECT_NE(error_of(sorted, kTalk).find("does not let the turn of message"), std::string::npos)
      << error_of(sorted, kTalk);
}

const std::string kMarked =
    "{% for m in messages %}{{ m.role }}:{% if m.role == 'assistant' %}{% generation %} {{ m.content }}\n"
    "{% endgeneration %}{% else %} {{ m.content }}{{ '\n' }}{% endif %}{% endfor %}";

TEST(Turns, GenerationBlocksAreTakenAsTheyAre) {
  EXPECT_EQ(trained(kMarked, kTalk), (Parts{" a1\n", " a2\n"}));
}

// The marks of a row: {"weight": 0} and {"train": false} leave a message out, with and without generation blocks.
TEST(Marks, LeaveAMessageOut) {
  for (const std::string& source : {kChatml, kMarked, kDropping}) {
    for (const char* mark : {R"("weight":0)", R"("weight":0.0)", R"("train":false)", R"("loss_weight":0)"}) {
      std::string row = kTalk;
      row.replace(row.find(R"("content":"a1")"), 14, std::string(R"("content":"a1",)") + mark);
      const Parts parts = trained(source, row);
      ASSERT_EQ(parts.size(), 1u) << mark;
      EXPECT_NE(parts[0].find("a2"), std::string::npos);
    }
    std::string row = kTalk;
    row.replace(row.find(R"("content":"a1")"), 14, R"("content":"a1","weight":1,"train":true)");
    EXPECT_EQ(trained(source, row).size(), 2u);
  }
}

TEST(Marks, ThatCannotBeHonouredAreRefused) {
  const auto with = [](const std::string& where, const std::string& mark) {
    std::string row = kTalk;
    row.replace(row.find(where), where.size(), where + "," + mark);
    return error_of(kChatml, row);
  };
  EXPECT_EQ(with(R"("content":"a1")", R"("weight":0.5)"),
            "message 2 has weight: 0.5; only 0 (not trained) and 1 are possible");
  EXPECT_NE(with(R"("content":"a1")", R"("weight":"0")"), "");
  EXPECT_NE(with(R"("content":"a1")", R"("train":1)"), "");
  EXPECT_EQ(with(R"("content":"q1")", R"("train":true)"),
            "message 1 has train: true; only turns of the assistant are trained");
  EXPECT_EQ(with(R"("content":"q1")", R"("train":false,"weight":1)"), "");
}

// A template writes a role as it stands, so another name for the assistant would be text that no model has seen, with
// its header among the targets.
TEST(Roles, OtherNamesForKnownOnesAreRefusedInMessages) {
  for (const auto& [name, usual] : {std::pair{"bot", "assistant"}, {"gpt", "assistant"}, {"human", "user"}}) {
    std::string row = kTalk;
    const std::string before = std::string(R"("role":")") + usual + "\"";
    const auto at = row.find(before);
    ASSERT_NE(at, std::string::npos) << row;
    row.replace(at, before.size(), std::string(R"("role":")") + name + "\"");
    EXPECT_NE(error_of(kChatml, row)
                  .find(std::string("has role ") + name + ", which templates do not know; call it " + usual),
              std::string::npos)
        << error_of(kChatml, row);
  }
}

TEST(Roles, AreToldApart) {
  const Rendered rendered = render(kChatml, kTalk);
  ASSERT_EQ(rendered.roles.size(), 4u);
  EXPECT_EQ(rendered.text.substr(rendered.roles[0].second, 21), "<|im_start|>assistant");
  EXPECT_EQ(rendered.roles[3], std::pair(std::string("assistant"), rendered.text.size()));
}

TEST(Template, SeesSpecialTokensToolsAndOtherColumns) {
  const std::string source =
      "{{ bos_token }}{{ tools is none }}{{ documents is none }}{{ topic }}{{ pad_token is defined }}"
      "{% for m in messages %}{{ m.content }}{{ m.thinking }}{{ m.name is defined }}{% endfor %}{{ strftime_now('%Y "
      "%d') }}";
  const std::string row =
      R"({"topic":"x","messages":[{"role":"user","content":"q","name":null},{"role":"assistant","content":"a","reasoning":"t"}]})";
  EXPECT_EQ(render(source, row).text, "<s>TrueTruexFalseqFalseatFalse2024 26");
}

}  // namespace
}  // namespace finetune::testing
