#include "tests/support/old_store.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

namespace reeve {

void MakeOlder(const std::string& store, int64_t ms) {
  sqlite3* file = nullptr;
  ASSERT_EQ(sqlite3_open(store.c_str(), &file), SQLITE_OK);
  const std::string by = std::to_string(ms);
  const std::string older =
      "UPDATE answers SET made_ms = made_ms - " + by +
      ";UPDATE messages SET body = json_set(body, '$.queued_ms', json_extract(body, '$.queued_ms') - " + by +
      ");UPDATE messages SET body = json_set(body, '$.run_at_ms', json_extract(body, '$.run_at_ms') - " + by +
      ") WHERE json_extract(body, '$.run_at_ms') > 0";
  EXPECT_EQ(sqlite3_exec(file, older.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(file);
  sqlite3_close(file);
}

}  // namespace reeve
