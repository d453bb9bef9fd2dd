// Where the time went: one set of numbers, as lines, JSON, Markdown and a page.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "report/made_studies.h"
#include "report/profile.h"

namespace finetune::testing {
namespace {

ProfileFacts made_profile() {
  return {.seconds = 4,
          .steps = 2,
          .waiting = {0, 0.125},
          .ceiling = CeilingFact{.gflops = 4, .gbytes = 5, .size = 768},
          .rows = {{.part = "products of the base",
                    .seconds = 1,
                    .share = 0.25,
                    .calls = 1234,
                    .ms_per_step = 500,
                    .gflops = 4,
                    .gbytes = 1,
                    .of_ceiling = 0.5},
                   {.part = "waiting", .seconds = 0.5, .share = 0.125, .ms_per_step = 250}}};
}

TEST(ProfileFacts, LinesSayWhatWasMeasured) {
  ProfileFacts profile = made_profile();
  const std::vector<std::string> lines = profile_lines(profile);
  EXPECT_EQ(lines[0], "where the time went: 4.00 s by the clock, 2 lanes, 2 steps of a lane (all its trials at once)");
  EXPECT_EQ(lines[1], "  part                   share  calls  ms/step  GFLOP/s  GB/s  ceiling");
  EXPECT_EQ(lines[2], "  products of the base  25.0 %  1,234  500.000      4.0   1.0     50 %");
  EXPECT_EQ(lines[3], "  waiting               12.5 %      -  250.000        -     -        -");
  EXPECT_EQ(lines[4], "waiting, by lane: 0 %, 12 %");
  EXPECT_TRUE(
      lines[5].starts_with("the ceiling of a lane is its share of what all processors did just now: 4 GFLOP/s"));
  profile.ceiling.reset();
  EXPECT_NE(profile_lines(profile)[5].find("there is no ceiling"), std::string::npos);
  profile.steps = 0;
  EXPECT_EQ(profile_lines(profile), std::vector<std::string>{"run.profile: nothing was measured"});
}

TEST(ProfileFacts, AResumedRunSaysSinceWhen) {
  ProfileFacts profile = made_profile();
  profile.after_round = 1200;
  EXPECT_TRUE(profile_lines(profile)[0].starts_with("where the time went since it went on after round 1,200: 4.00 s"));
}

TEST(ProfileFacts, ANarrowTerminalHasNoLineThatIsWider) {
  for (const std::string& line : profile_lines(made_profile(), 40)) EXPECT_LE(line.size(), 40u) << line;
  EXPECT_EQ(profile_lines(made_profile(), 40)[3], "  products of the base");
}

TEST(ProfileFacts, TheReportHasTheSameNumbers) {
  ReportFacts study = made_studies().front().second;
  EXPECT_EQ(report_json(study)["cost"].count("profile"), 0u);
  EXPECT_EQ(report_html(study).find("Where the time went"), std::string::npos);
  study.profile = made_profile();
  study.profile->after_round = 7;
  const auto json = report_json(study);
  EXPECT_EQ(json["cost"]["profile"]["parts"][0]["gflops"], 4.0);
  EXPECT_EQ(json["cost"]["profile"]["parts"][1].count("gflops"), 0u);
  const ReportFacts again = facts_from_json("report.json", json);
  ASSERT_TRUE(again.profile);
  EXPECT_EQ(report_json(again)["cost"], json["cost"]);
  EXPECT_EQ(profile_lines(*again.profile), profile_lines(*study.profile));
  EXPECT_TRUE(report_text(study).starts_with("where the time went since it went on after round 7: "));
  EXPECT_NE(report_markdown(study).find("| products of the base | 25.0 % | 1,234 | 500.000 | 4.0 | 1.0 | 50 % |"),
            std::string::npos);
  const std::string page = report_html(study);
  EXPECT_NE(page.find("<h2 id=\"profile-title\">Where the time went</h2>"), std::string::npos);
  EXPECT_NE(
      page.find("<th scope=\"row\">products of the base</th><td class=\"n\">25.0 %</td><td class=\"n\">1,234</td>"),
      std::string::npos);
}

TEST(ProfileFacts, WhatIsBrokenIsRefused) {
  ReportFacts study = made_studies().front().second;
  study.profile = made_profile();
  auto json = report_json(study);
  json["cost"]["profile"]["steps"] = "many";
  EXPECT_THROW(facts_from_json("report.json", json), Error);
  json = report_json(study);
  json["cost"]["profile"]["parts"][0].erase("share");
  EXPECT_THROW(facts_from_json("report.json", json), Error);
}

}  // namespace
}  // namespace finetune::testing
