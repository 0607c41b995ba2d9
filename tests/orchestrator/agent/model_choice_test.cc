#include "orchestrator/agent/model_choice.h"

#include <gtest/gtest.h>

namespace reeve {
namespace {

const std::string kSpec = "spec/model";

TEST(ModelChoice, ItIsTheSpecsUntilAMessageChooses) {
  ModelChoice model;
  EXPECT_EQ(model.Or(kSpec), kSpec);
  model.Choose("other", kSpec);
  EXPECT_EQ(model.Or(kSpec), "other");
  EXPECT_TRUE(model.Clear());
  EXPECT_EQ(model.Or(kSpec), kSpec);
  EXPECT_FALSE(model.Clear());
}

TEST(ModelChoice, OneThatFailsBeforeItProducedAnythingIsTakenBack) {
  ModelChoice model;
  model.Choose("good", kSpec);
  model.OnContent();
  model.Choose("wrong", kSpec);
  model.Choose("wrong, too", kSpec);
  EXPECT_TRUE(model.OnFailed());
  EXPECT_EQ(model.Or(kSpec), "good");
  EXPECT_FALSE(model.OnFailed());
  EXPECT_EQ(model.Or(kSpec), "good");
}

TEST(ModelChoice, OneThatWorkedStays) {
  ModelChoice model;
  model.Choose("good", kSpec);
  model.OnContent();
  EXPECT_FALSE(model.OnFailed());
  EXPECT_EQ(model.Or(kSpec), "good");
  model.Choose("good", kSpec);
  EXPECT_FALSE(model.OnFailed()) << "it is not on trial again";
}

}  // namespace
}  // namespace reeve
