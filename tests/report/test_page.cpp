// The page: one file that needs nothing else and lets no text of a user through as markup, what it shows where, how
// large it gets, and that its colours can be read.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <regex>

#include "core/metric.h"
#include "report/html/assets.h"
#include "report/html/plot.h"
#include "report/html/sections.h"
#include "report/html/text.h"
#include "report/made_studies.h"

namespace finetune::testing {
namespace {

const std::string kEvil = "</script></svg></title><script>alert(\"x\")</script>'\"&|\n";

// Whatever is text of somebody else's.
ReportFacts evil_study() {
  ReportFacts study = made_study(12);
  study.model = study.train_data = study.valid_data = study.device = study.version = study.folder = kEvil;
  study.sampler = study.scheduler = study.metric = study.stopped_by = study.default_failure = kEvil;
  study.train_files = study.valid_files = {kEvil};
  study.provenance = {{kEvil, kEvil}};
  study.search[0].name = "train." + kEvil;
  study.search[2].choices = {Value{kEvil}, Value{"b" + kEvil}};
  for (TrialFacts& trial : study.trials) {
    trial.params[0].first = "train." + kEvil;
    trial.params[2].second = kEvil;
    trial.state = trial.id % 2 == 0 ? kEvil : trial.state;
    trial.reason = kEvil;
    trial.lineage = {{.step = 2, .copy_of = 1, .params = {{kEvil, Value{kEvil}}}}};
  }
  study.best_schedule = {{0, {{kEvil, 1.0}}}, {5, {{kEvil, 2.0}}}};
  study.confirmation = study.rung_metric = kEvil;
  study.confirmed = {{.trial = study.trials[*study.best].id, .metrics = {1, 2}, .mean = 1.5, .standard_error = 0.5}};
  study.comparisons = {{5, 0.1, -0.1, 0.3, 50}};
  study.test = TestFact{1, 2, 3};
  study.test_files = {kEvil};
  study.audit = AuditFact{2, 1};
  study.rung_agreement = CorrelationFact{5, 5, 12, 0.4};
  study.ablation = {{"", {}, 2}, {kEvil, Value{kEvil}, 1}};
  study.samples = {{kEvil, kEvil, kEvil, kEvil}};
  study.search[0] = {.name = study.search[0].name, .low = 1, .high = 9};  // the best lies at its end: a hint
  for (TrialFacts& trial : study.trials) trial.params[0].second = 9.0;
  analyze(study);
  return study;
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(Page, IsOneFile) {
  for (const auto& [name, study] : made_studies()) {
    SCOPED_TRACE(name);
    const std::string page = report_html(study);
    for (const char* outside : {"http:", "https:", "src=", "@import", "url(", "href=\"/", "href=\"h"})
      EXPECT_EQ(page.find(outside), std::string::npos) << outside;
    EXPECT_EQ(count_of(page, "<script"), 1u);
    EXPECT_EQ(count_of(page, "</script"), 1u);
  }
}

TEST(Page, EscapesWhateverSomebodyWrote) {
  const std::string page = report_html(evil_study());
  EXPECT_EQ(count_of(page, "<script"), 1u);
  EXPECT_EQ(count_of(page, "</script"), 1u);
  EXPECT_EQ(count_of(page, "</title"), 1u);
  EXPECT_EQ(page.find("alert(\"x"), std::string::npos);
  EXPECT_NE(page.find("&lt;/script&gt;"), std::string::npos);
  EXPECT_EQ(count_of(page, "<svg"), count_of(page, "</svg"));
  for (const char* id : {"hints", "test", "ablation", "samples"})
    EXPECT_EQ(count_of(page, std::string("<section id=\"") + id + "\""), 1u) << id << " was not looked at";
}

TEST(Page, AQuoteEndsNoAttribute) {
  EXPECT_EQ(html::escape("a\"b'c<d>&"), "a&quot;b&#39;c&lt;d&gt;&amp;");
}

TEST(Page, SectionsStandWhereTheirFactsDo) {
  const auto has = [](const ReportFacts& study, const std::string& id) {
    return report_html(study).find("<section id=\"" + id + "\"") != std::string::npos;
  };
  const ReportFacts many = made_study(300), population = made_population(), failure = made_failure();
  for (const char* id :
       {"winner", "cost", "curves", "slices", "importance", "timeline", "correlation", "trials", "provenance"})
    EXPECT_TRUE(has(many, id)) << id;
  EXPECT_FALSE(has(many, "population"));
  EXPECT_TRUE(has(population, "population"));
  for (const char* id : {"slices", "importance", "interactions", "correlation", "population"})
    EXPECT_FALSE(has(failure, id)) << id;
  EXPECT_TRUE(has(failure, "curves")) << "of what was trained";
  for (const char* id : {"hints", "test", "ablation", "samples"}) {
    EXPECT_TRUE(has(made_trust(), id)) << id;
    EXPECT_FALSE(has({}, id)) << id;
  }
  EXPECT_TRUE(has({}, "winner"));
  EXPECT_FALSE(has({}, "trials"));
}

TEST(Page, SaysHowSureTheWinnerIs) {
  ReportFacts study = made_study(3);
  const std::size_t other = *study.best == 0 ? 1 : 0, third = 3 - other - *study.best;
  study.trials[third].metric.reset();
  const auto says = [&](const std::string& text) { return report_html(study).find(text) != std::string::npos; };
  study.trials[other].metric = *study.trials[*study.best].metric * 1.001;
  EXPECT_TRUE(says("(0.1 %), which another seed may turn around"));
  study.trials[other].metric = *study.trials[*study.best].metric * 1.1;
  EXPECT_TRUE(says("(10 %)."));
  study.trials[other].metric = study.trials[*study.best].metric;
  EXPECT_TRUE(says("The runner-up is as good."));
  study.trials[other].state = "stopped";
  EXPECT_TRUE(says("No other trial completed"));
}

TEST(Page, SectionsHaveTheirOrder) {
  const std::string page = report_html(made_trust());
  std::size_t last = 0;
  for (const char* id : {"winner", "hints", "test", "cost", "curves", "slices", "importance", "timeline", "correlation",
                         "ablation", "samples", "trials", "provenance"}) {
    const std::size_t at = page.find("<section id=\"" + std::string(id) + "\"");
    ASSERT_NE(at, std::string::npos) << id;
    EXPECT_GT(at, last) << id;
    last = at;
  }
}

TEST(Page, WhatWasMeasuredTakesThePlaceOfCaution) {
  ReportFacts study = made_trust();
  const auto says = [&](const std::string& text) { return report_html(study).find(text) != std::string::npos; };
  EXPECT_TRUE(says("The best were confirmed with 2 more seeds."));
  EXPECT_TRUE(says("<th scope=\"row\">the default configuration</th>"));
  EXPECT_TRUE(says("by the same 150 examples"));
  EXPECT_FALSE(says("one run of one seed"));
  EXPECT_TRUE(says("4 stopped trials ran on to the end all the same, and 1 of them would have won"));
  EXPECT_TRUE(says("perplexity at rungs ranks trials as valid_loss at the end: Spearman 0.83 over 12 trials."));
  EXPECT_TRUE(says("of it in evaluations"));
  EXPECT_TRUE(says("valid_loss of held.jsonl, scored once"));
  study.test->base.reset();
  EXPECT_TRUE(says("<b>failed</b> <span>untouched base"));
  study.confirmed.clear();
  study.comparisons.clear();
  EXPECT_TRUE(says("one run of one seed"));
}

// The changes stand in the picture whatever the first of them brought, and one that failed in the table only.
TEST(Page, ThePathToTheBestIsDrawn) {
  ReportFacts study = made_trust();
  const auto path = [&] { return html::ablation_section(study); };
  EXPECT_EQ(count_of(path(), "dot best"), 3u);
  EXPECT_EQ(path().find(" 0h.1"), std::string::npos) << "clipped";
  EXPECT_EQ(count_of(path(), "<tr>"), 4u);
  study.ablation[1].metric.reset();
  EXPECT_EQ(count_of(path(), "dot best"), 2u);
  EXPECT_EQ(count_of(path(), ">failed<"), 1u);
  study.ablation.resize(1);
  EXPECT_EQ(path().find("<svg"), std::string::npos);
}

TEST(Page, LongSamplesAreCutBetweenCharacters) {
  ReportFacts study = made_trust();
  study.samples = {{std::string(599, 'p') + "\xc3\xa9" + "pp", std::string(600, 'r'), "", "b"}};
  const std::string section = html::samples_section(study);
  EXPECT_NE(section.find(std::string(599, 'p') + " [...]"), std::string::npos);
  EXPECT_NE(section.find(std::string(600, 'r') + "</pre>"), std::string::npos) << "not so long";
  EXPECT_NE(section.find("nothing"), std::string::npos);
}

TEST(Page, LinksLeadToSectionsThatAreThere) {
  const std::string page = report_html(made_study(3));
  const std::regex link("href=\"#([a-z]+)\"");
  int links = 0;
  for (std::sregex_iterator found(page.begin(), page.end(), link), end; found != end; ++found, ++links)
    EXPECT_NE(page.find("<section id=\"" + (*found)[1].str() + "\""), std::string::npos) << (*found)[1];
  EXPECT_GT(links, 4);
}

// By which the script finds a trial everywhere.
TEST(Page, ATrialIsMarkedInEveryPicture) {
  const std::string page = report_html(made_study(12));
  EXPECT_GE(count_of(page, " data-t=0 ") + count_of(page, " data-t=0>"), 5u);
}

TEST(Page, ASingleEvaluationIsSeen) {
  ReportFacts study = made_study(6);
  for (TrialFacts& trial : study.trials) trial.metrics.resize(std::min<std::size_t>(trial.metrics.size(), 1));
  const std::string page = report_html(study);
  EXPECT_NE(page.find("class=\"curve\" data-t="), std::string::npos);
  EXPECT_NE(page.find("h.1\""), std::string::npos) << "a line of one point would not be seen";
}

TEST(Plots, ASingleValueStandsInTheMiddle) {
  for (const double value : {0.625, 5.0, -3.0, 0.0}) {
    for (const Direction direction : {Direction::minimize, Direction::maximize})
      EXPECT_NEAR(html::fit_metric({value, value, value}, direction).at(value), 500, 1) << value;
    EXPECT_NEAR(html::Scale(value, value).at(value), 500, 1) << value;
  }
}

// A trial at the good end must stay inside the plot, whichever end that is.
TEST(Page, TheBestPointIsNotClipped) {
  for (const Direction direction : {Direction::minimize, Direction::maximize}) {
    const double sign = direction == Direction::minimize ? 1 : -1;
    std::vector<double> values{sign * -1000, sign * -900};
    for (int i = 2; i < 20; ++i) values.push_back(sign * i);
    const html::Scale scale = html::fit_metric(values, direction);
    EXPECT_NE(scale.at(values[0]), scale.at(values[1]));
    EXPECT_GT(scale.at(values[0]), 0);
    EXPECT_LT(scale.at(values[0]), 1000);
    values = {sign * 1, sign * 2, sign * 3, sign * 4,  sign * 5,  sign * 6,
              sign * 7, sign * 8, sign * 9, sign * 10, sign * 1e9};
    const html::Scale without = html::fit_metric(values, direction);
    EXPECT_GT(std::fabs(without.at(values[0]) - without.at(values[8])), 500) << "one that diverged flattens nobody";
  }
}

TEST(Page, LongCurvesKeepTheirExtremes) {
  std::vector<std::pair<double, double>> points;
  for (int i = 0; i < 5000; ++i) points.emplace_back(i, i == 1234 ? 99 : i == 4321 ? -99 : std::sin(i));
  const auto few = html::thinned(points, 100);
  EXPECT_LE(few.size(), 101u);
  const auto has = [&](double value) {
    return std::ranges::any_of(few, [&](const auto& point) { return point.second == value; });
  };
  EXPECT_TRUE(has(99));
  EXPECT_TRUE(has(-99));
  EXPECT_TRUE(std::ranges::is_sorted(few, {}, &std::pair<double, double>::first));
  EXPECT_EQ(few.back(), points.back());
  EXPECT_EQ(html::thinned(points, 5000), points);
}

TEST(Page, RowsAreLabelledAtRoundNumbers) {
  EXPECT_EQ(html::label_every(3), 1u);
  EXPECT_EQ(html::label_every(12), 1u);
  EXPECT_EQ(html::label_every(40), 5u);
  EXPECT_EQ(html::label_every(1000), 100u);
}

TEST(Page, NumbersAreShort) {
  EXPECT_EQ(html::short_number(0.00031), "0.00031");
  EXPECT_EQ(html::short_number(10000), "10000");
  EXPECT_EQ(html::short_number(2.5e7), "2.5e+07");
  EXPECT_EQ(html::percent(0.126), "13 %");
  EXPECT_EQ(html::percent(0.0126), "1.3 %");
  EXPECT_EQ(html::percent(0.0001), "0 %");
}

TEST(Page, TicksAreRoundAndInside) {
  for (const auto& [low, high] :
       std::vector<std::pair<double, double>>{{0, 100}, {0.1, 0.9}, {-3.2, 7.9}, {1.81, 1.83}, {1e-9, 2e-9}, {5, 5}}) {
    const auto ticks = html::Scale(low, high).ticks(5);
    EXPECT_GE(ticks.size(), 3u) << low << " " << high;
    EXPECT_LE(ticks.size(), 12u) << low << " " << high;
    for (const auto& tick : ticks) EXPECT_TRUE(tick.at >= 0 && tick.at <= 1000) << tick.label;
  }
  for (const double low : {-1e308, 1e20, -1e20})
    EXPECT_LE(html::Scale(low, low < -1e300 ? 1e308 : std::nextafter(low, 1e300)).ticks(5).size(), 20u);
  const auto powers = html::Scale(2e-5, 2e-2, true).ticks(4);
  ASSERT_EQ(powers.size(), 3u);
  EXPECT_EQ(powers[0].label, "0.0001");
}

// There is no step and a half.
TEST(Page, StepsAreWhole) {
  const auto ticks = html::Scale(0, 2).whole_ticks(6);
  ASSERT_EQ(ticks.size(), 3u);
  EXPECT_EQ(ticks[1].label, "1");
  EXPECT_EQ(html::Scale(0, 90).whole_ticks(6).at(1).label, "20");
}

TEST(Page, OfATrialWithoutAMetricNoStepIsNamed) {
  ReportFacts study = made_failure();
  const std::string html = report_html(study);
  EXPECT_NE(html.find("<td>failed<td class=n><td class=n><td class=n>"), std::string::npos);
  EXPECT_EQ(html.find("other trials"), std::string::npos) << "there is no best one beside them";
  EXPECT_NE(html.find("class=\"verdict failed\""), std::string::npos);
}

// Confirmed by seeds, the winner may be behind another in the search: its card does not call that a runner-up.
TEST(Page, WhoWasAheadInTheSearchIsSaidToBe) {
  ReportFacts study = made_trust();
  EXPECT_EQ(report_html(study).find("ahead in the search"), std::string::npos);
  study.trials[*study.best].metric = 100;
  EXPECT_NE(report_html(study).find("ahead in the search, not over other seeds"), std::string::npos);
}

TEST(Page, NamesTheModelByItsFolder) {
  ReportFacts study = made_study(3);
  study.model = "/a/long/path/of/tiny/";
  const std::string html = report_html(study);
  EXPECT_NE(html.find("<h1>Study of tiny</h1>"), std::string::npos);
  EXPECT_NE(html.find("Model /a/long/path/of/tiny/;"), std::string::npos) << "which one it is stands below";
}

TEST(Page, AThousandTrialsAreLessThanTwoMegabytes) {
  EXPECT_LT(report_html(made_study(1000)).size(), 2'000'000u);
  EXPECT_LT(report_html(made_study(1000, 30)).size(), 2'000'000u);
}

TEST(Page, LoadsItselfAgainWhileTheStudyRuns) {
  ReportFacts study = made_study(3);
  EXPECT_EQ(report_html(study).find("<body data-running>"), std::string::npos);
  study.running = true;
  EXPECT_NE(report_html(study).find("<body data-running>"), std::string::npos);
}

// WCAG 2.1, 1.4.3 and 1.4.11: relative luminance and contrast ratio.
double luminance(const std::string& hex) {
  double sum = 0;
  const double weights[] = {0.2126, 0.7152, 0.0722};
  for (std::size_t i = 0; i < 3; ++i) {
    const double part = std::stoi(hex.substr(2 * i, 2), nullptr, 16) / 255.0;
    sum += weights[i] * (part <= 0.04045 ? part / 12.92 : std::pow((part + 0.055) / 1.055, 2.4));
  }
  return sum;
}
double contrast(const std::string& a, const std::string& b) {
  const double x = luminance(a), y = luminance(b);
  return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

TEST(Page, ColoursHaveTheContrastOfAA) {
  const std::string style = html::kStyle;
  const std::regex scheme(R"(:root\{([^}]*)\})"), colour(R"(--([a-z]+):#([0-9a-f]{6}))");
  int schemes = 0;
  for (std::sregex_iterator found(style.begin(), style.end(), scheme), end; found != end; ++found, ++schemes) {
    const std::string list = (*found)[1];
    std::map<std::string, std::string> colours;
    for (std::sregex_iterator one(list.begin(), list.end(), colour); one != end; ++one) colours[(*one)[1]] = (*one)[2];
    ASSERT_EQ(colours.size(), 11u);
    for (const char* ground : {"bg", "card"}) {
      for (const char* text : {"fg", "soft", "accent", "focus", "stopped", "failed"})
        EXPECT_GE(contrast(colours[text], colours[ground]), 4.5) << text << " on " << ground << ", scheme " << schemes;
      for (const char* mark : {"mark", "copy"})
        EXPECT_GE(contrast(colours[mark], colours[ground]), 3) << mark << " on " << ground << ", scheme " << schemes;
    }
  }
  EXPECT_EQ(schemes, 2);
}

}  // namespace
}  // namespace finetune::testing
