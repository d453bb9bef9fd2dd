// The Jinja interpreter beside jinja2 (tests/golden/chat_templates.json), its bounds, and what its errors say.
#include <gtest/gtest.h>

#include <filesystem>

#include "core/error.h"
#include "core/files.h"
#include "core/strict_json.h"
#include "data/jinja/template.h"
#include "support/places.h"

namespace finetune::testing {
namespace {

using Json = nlohmann::ordered_json;

const std::string kGoldens = source_dir() + "/tests/golden/";

std::tm day() {
  std::tm date{};
  date.tm_year = 124;  // Friday, 26 July 2024
  date.tm_mon = 6;
  date.tm_mday = 26;
  date.tm_wday = 5;
  date.tm_yday = 207;
  return date;
}

jinja::Output render(const std::string& source, const Json& variables = Json::object(),
                     const jinja::Limits& limits = {}) {
  jinja::Variables given;
  for (const auto& [name, value] : variables.items()) given.emplace_back(name, jinja::from_json(value));
  return jinja::Template("t.jinja", source).render(given, day(), limits);
}

std::string error_of(const std::string& source, const jinja::Limits& limits = {}) {
  try {
    render(source, Json::object(), limits);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

void expect_same(const std::string& source, const Json& variables, const Json& golden) {
  SCOPED_TRACE(source.substr(0, 300));
  try {
    const jinja::Output output = render(source, variables);
    ASSERT_FALSE(golden.contains("error")) << "refused by jinja2, but: " << output.text;
    EXPECT_EQ(output.text, golden["text"].get<std::string>());
    EXPECT_EQ(Json(output.generated), golden["generated"]);
  } catch (const Error& error) {
    EXPECT_TRUE(golden.contains("error")) << error.what();
  }
}

TEST(Jinja, SnippetsRenderAsInJinja2) {
  const Json goldens = read_json_file(kGoldens + "chat_templates.json");
  for (const auto& one : goldens["snippets"]) expect_same(one["template"].get<std::string>(), goldens["context"], one);
  EXPECT_GE(goldens["snippets"].size(), 200u);
}

TEST(Jinja, ConversationsRenderAsInJinja2) {
  const Json goldens = read_json_file(kGoldens + "chat_templates.json");
  for (const auto& one : goldens["conversations"])
    expect_same(read_file(kGoldens + "chat_templates/" + one["template"].get<std::string>()), one["variables"], one);
  EXPECT_GE(goldens["conversations"].size(), 120u);
}

TEST(Jinja, ErrorsNameTemplateAndLine) {
  EXPECT_EQ(error_of("a\n{{ 1 +\n }}"), "t.jinja:3: a tag ends too early");
  EXPECT_EQ(error_of("a\n\n{{ raise_exception('no\nsystem') }}"),
            "t.jinja:3: the template refuses this conversation: no system");
  EXPECT_EQ(error_of("{{ 1 }}\n{{ x | nope }}"), "t.jinja:2: the filter nope is not interpreted");
  EXPECT_EQ(error_of("{% include 'x' %}"), "t.jinja:1: the tag include is not interpreted here");
  EXPECT_EQ(error_of("\n{{ a.b }}"), "t.jinja:2: 'a' is undefined");
  EXPECT_EQ(error_of("{{ {}.a.b }}"), "t.jinja:1: 'dict object' has no attribute 'a'");
}

// Each would take hours or all memory; the limits end it within a second.
TEST(Jinja, NothingHangsOrFillsMemory) {
  const jinja::Limits tight{.work = 200'000, .output = 1 << 16};
  for (const char* source :
       {"{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}", "{{ 'x' * 1000000000000 }}",
        "{{ [0] * 1000000000000 }}", "{{ range(1000000000000) }}",
        "{% set ns = namespace(s='xx') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=[]) %}{% for i in range(90000) %}{% set ns.l = [ns.l] %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{{ 'a'.ljust(100000000) }}", "{{ '%0999999999d' % 1 }}",
        "{{ 9 ** 99 }}", "{{ ('a' * 40000).replace('a', 'b' * 40000) }}", "{{ 'x' | indent(100000000) }}",
        "{{ [[1]] | batch(1000000000, 'x') | list }}"})
    EXPECT_NE(error_of(source, tight), "") << source;
  EXPECT_NE(error_of("{{ " + std::string(100000, '(') + " }}"), "");
  EXPECT_NE(error_of("{{ a" +
                     [] {
                       std::string dots;
                       for (int i = 0; i < 100000; ++i) dots += ".b";
                       return dots;
                     }() +
                     " }}"),
            "");
  EXPECT_NE(error_of([] {
              std::string ifs;
              for (int i = 0; i < 100000; ++i) ifs += "{% if true %}";
              return ifs;
            }()),
            "");
  EXPECT_NE(error_of("{{ " +
                     [] {
                       std::string sum = "1";
                       for (int i = 0; i < 100000; ++i) sum += "+1";
                       return sum;
                     }() +
                     " }}"),
            "");
}

TEST(Jinja, BlocksThatAMacroWritesHaveNoPlace) {
  EXPECT_TRUE(render("{% macro m() %}{% generation %}a{% endgeneration %}{% endmacro %}{{ m() }}").generated_elsewhere);
  EXPECT_FALSE(render("{% generation %}a{% endgeneration %}").generated_elsewhere);
}

}  // namespace
}  // namespace finetune::testing
