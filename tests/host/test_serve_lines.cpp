// Lines of a service without its engine: which requests run together, the order of answers, and lines that are none.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/error.h"
#include "host/serve/request_queue.h"
#include "host/serve/serve_session.h"

namespace finetune::testing {
namespace {

using Json = nlohmann::ordered_json;
using Pack = std::vector<std::size_t>;
constexpr auto kTrain = ServeVerb::forward_backward, kStep = ServeVerb::optim_step, kSample = ServeVerb::sample;

TEST(RequestQueue, PacksWhoNeedNotWait) {
  // Of one client: slots 0 to 2 train, slot 0 steps, slot 3 trains.
  EXPECT_EQ(next_pack(std::vector<WaitingRequest>{{1, kTrain, 0}, {1, kTrain, 1}, {1, kStep, 0}, {1, kTrain, 3}}),
            (Pack{0, 1, 3}));
  // A slot's second request waits for its first, of whatever kind and client that is.
  EXPECT_EQ(next_pack(std::vector<WaitingRequest>{{1, kTrain, 0}, {2, kTrain, 0}, {2, kTrain, 1}}), (Pack{0, 2}));
  EXPECT_EQ(next_pack(std::vector<WaitingRequest>{{1, kTrain, 0}, {1, kStep, 1}, {1, kTrain, 1}}), (Pack{0}));
}

TEST(RequestQueue, WhatSpeaksOfNoSlotHoldsItsClientsLaterOnes) {
  const auto open = ServeVerb::open;
  EXPECT_EQ(next_pack(std::vector<WaitingRequest>{{1, kTrain, 0}, {1, open, {}}, {1, kTrain, 1}, {2, kTrain, 2}}),
            (Pack{0, 3}));
  EXPECT_EQ(next_pack(std::vector<WaitingRequest>{{1, open, {}}, {2, open, {}}}), (Pack{0}));
  // Those of the base are in order for each client.
  EXPECT_EQ(
      next_pack(std::vector<WaitingRequest>{{1, kSample, {}}, {1, kSample, {}}, {2, kSample, {}}, {1, kSample, 4}}),
      (Pack{0, 2, 3}));
  EXPECT_EQ(next_pack(std::vector<WaitingRequest>{{1, kTrain, 0}, {2, ServeVerb::shutdown, {}}, {3, kTrain, 1}}),
            (Pack{0}));
  EXPECT_EQ(next_pack({}), Pack());
}

// Answers with what was asked together, as "verb:slot verb:slot".
struct Played {
  std::vector<std::string> packs;
  ServeSession session{[this](std::span<const ServeRequest* const> requests) {
    std::vector<Json> answers;
    std::string pack;
    for (const ServeRequest* request : requests) {
      pack += (pack.empty() ? "" : " ") + std::string(name_of(request->verb)) + ":" +
              (request->slot ? std::to_string(*request->slot) : "-");
      answers.push_back({{"pack", packs.size()}});
    }
    packs.push_back(pack);
    return answers;
  }};
  std::vector<std::string> run() {
    while (session.has_work()) session.run_next();
    return answers();
  }
  std::vector<std::string> answers() {
    std::vector<std::string> lines;
    for (const auto& [client, line] : session.take_answers()) lines.push_back(std::to_string(client) + " " + line);
    return lines;
  }
};

TEST(ServeSession, AClientsAnswersComeInItsOrderAndCarryItsIds) {
  Played played;
  played.session.take(1, R"({"optim_step":{"slot":0},"id":"a"})");
  played.session.take(1, R"({"forward":{"slot":1},"id":2})");
  played.session.take(1, R"({"optim_step":{"slot":2}})");
  played.session.take(2, R"({"forward":{"slot":3}})");
  played.session.run_next();
  EXPECT_EQ(played.answers(), (std::vector<std::string>{R"(1 {"id":"a","pack":0})"}));  // slot 2's waits for slot 1's
  EXPECT_EQ(played.run(), (std::vector<std::string>{R"(1 {"id":2,"pack":1})", R"(1 {"pack":0})", R"(2 {"pack":1})"}));
  EXPECT_EQ(played.packs, (std::vector<std::string>{"optim_step:0 optim_step:2", "forward:1 forward:3"}));
}

TEST(ServeSession, AWrongLineIsAnErrorInItsPlaceAndChangesNothing) {
  const std::vector<std::pair<std::string, std::string>> table{{"nonsense", "the line"},
                                                               {"[]", "an object"},
                                                               {"{}", "there is no request"},
                                                               {R"({"opne":{}})", "open"},
                                                               {R"({"open":{},"close":{}})", "open and close"},
                                                               {R"({"open":1})", "open is 1"},
                                                               {R"({"slots":{},"id":null})", "id is null"},
                                                               {R"({"slots":{},"slots":{}})", "slots"},
                                                               {R"({"slots":{}} trailing)", "the line"},
                                                               {"{\"slots\":{}, \"id\": \"\xff\"}", "UTF-8"}};
  for (const auto& [line, word] : table) {
    Played played;
    played.session.take(1, R"({"slots":{},"id":1})");
    played.session.take(1, line);
    played.session.take(1, R"({"slots":{},"id":3})");
    const auto answers = played.run();
    ASSERT_EQ(answers.size(), 3u) << line;
    EXPECT_NE(answers[1].find("{\"error\":"), std::string::npos) << answers[1];
    EXPECT_NE(answers[1].find(word), std::string::npos) << line << "\n" << answers[1];
    EXPECT_EQ(answers[1].find('\n'), std::string::npos);
  }
  Played played;
  played.session.take(1, R"({"id":7,"slot":{}})");
  played.session.take(1, "  ");  // asks nothing
  played.session.refuse(1, "too long");
  EXPECT_EQ(played.run().size(), 2u);
}

TEST(ServeSession, WhoHasGoneIsNotCarriedOut) {
  Played played;
  for (const int client : {1, 2}) played.session.take(static_cast<std::uint64_t>(client), R"({"forward":{"slot":0}})");
  EXPECT_EQ(played.session.owes(1), 1u);
  played.session.forget(1);
  EXPECT_EQ(played.run(), (std::vector<std::string>{R"(2 {"pack":0})"}));
  EXPECT_EQ(played.packs.size(), 1u);
}

TEST(ServeSession, WhatIsUnderWayOrWaitsWhenTheUserWantsTheEndIsAnErrorInItsOrder) {
  for (const bool under_way : {true, false}) {
    ServeSession session([](auto) -> std::vector<Json> { throw Interrupted(); });
    session.take(1, R"({"forward":{"slot":0},"id":1})");
    session.take(1, R"({"slots":{},"id":2})");
    if (under_way)
      session.run_next();
    else
      session.interrupt();
    EXPECT_TRUE(session.is_ending());
    EXPECT_FALSE(session.has_work());
    session.take(1, R"({"slots":{}})");
    const auto answers = session.take_answers();
    ASSERT_EQ(answers.size(), 3u);
    const std::string error = R"("error":"the service was interrupted and is ending: nothing of this was done"})";
    EXPECT_EQ(answers[0].second, R"({"id":1,)" + error);
    EXPECT_EQ(answers[1].second, R"({"id":2,)" + error);
    EXPECT_EQ(answers[2].second, R"({"error":"the service is shutting down"})");
  }
}

TEST(ServeSession, AShutdownWaitsForThoseBeforeItAndRefusesThoseBehind) {
  Played played;
  played.session.take(1, R"({"forward":{"slot":0}})");
  played.session.take(2, R"({"shutdown":{}})");
  played.session.take(1, R"({"forward":{"slot":1},"id":"late"})");
  played.session.run_next();
  EXPECT_FALSE(played.session.is_ending());
  played.session.run_next();
  EXPECT_TRUE(played.session.is_ending());
  played.session.take(3, R"({"slots":{}})");
  const auto answers = played.run();
  ASSERT_EQ(answers.size(), 4u);
  EXPECT_EQ(answers[2], R"(1 {"id":"late","error":"the service is shutting down"})");
  EXPECT_NE(answers[3].find("shutting down"), std::string::npos);
  EXPECT_EQ(played.packs, (std::vector<std::string>{"forward:0", "shutdown:-"}));
}

}  // namespace
}  // namespace finetune::testing
