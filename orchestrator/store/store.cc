#include "orchestrator/store/store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "orchestrator/store/disk_reserve.h"
#include "process/fd.h"
#include "process/log.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr int kApplicationId = 0x72656576;  // "reev"; file(1) and we recognise the file by it

// Each step upgrades the schema by one version; a new file takes all steps. `made` keeps the order of
// creation, which a plain rowid does not keep through a VACUUM.
constexpr const char* kSchema[] = {
    "CREATE TABLE agents (made INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, spec TEXT NOT NULL,"
    "                     state TEXT NOT NULL, deleted INTEGER NOT NULL);"
    "CREATE TABLE messages (made INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, agent TEXT NOT NULL,"
    "                       body TEXT NOT NULL, state TEXT NOT NULL);"
    "CREATE INDEX messages_agent ON messages (agent);"
    "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);",

    "ALTER TABLE messages ADD COLUMN run TEXT NOT NULL DEFAULT '';"
    "UPDATE messages SET state = 'running' WHERE state = 'starting';"
    "DROP INDEX messages_agent;"
    "CREATE INDEX messages_agent ON messages (agent, made);"
    // An index over unfinished messages only, so that a start need not search among the ended ones.
    "CREATE INDEX messages_open ON messages (made) WHERE state IN ('queued', 'running');"
    "CREATE TABLE runs (agent TEXT NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL,"
    "                   PRIMARY KEY (agent, number));"
    "CREATE TABLE answers (key TEXT PRIMARY KEY, request TEXT NOT NULL, answer TEXT NOT NULL,"
    "                      made_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX answers_made ON answers (made_ms);",

    "ALTER TABLE answers ADD COLUMN token INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE answers ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;"
    "UPDATE answers SET bytes = LENGTH(CAST(answer AS BLOB));"
    "CREATE INDEX answers_token ON answers (token, made_ms, bytes);",
};
constexpr int kVersion = static_cast<int>(std::size(kSchema));

// secure_delete: the values of an agent's env are erased when the agent is deleted. The limit keeps a WAL
// from staying large after one burst.
constexpr const char* kSettings =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA "
    "journal_size_limit=4194304;";
// One in this many writes of a bounded kind enforces the bound. The number is prime, so that agents that take
// turns all get their share.
constexpr uint64_t kTrimEvery = 61;
constexpr uint64_t kTrimBytes = uint64_t{4} << 20;  // likewise, for answers
constexpr int kBusyMs = 5000;                       // for a person who looks at the file with sqlite3(1)

struct CloseDatabase {
  void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
};
struct FinishStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, FinishStatement>;

// One connection, used by one thread at a time.
class Database {
 public:
  static constexpr int kReadWrite = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;

  static Result<Database> Open(const std::string& path, int access = kReadWrite) {
    sqlite3* handle = nullptr;
    const int flags = access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const int result = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
    Database database(handle, path);
    if (result != SQLITE_OK) return database.Failure();
    sqlite3_busy_timeout(handle, kBusyMs);
    return database;
  }

  Status Execute(const char* sql) {
    if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) return Failure();
    return {};
  }

  // Runs one statement with `values` for its question marks, and calls on_row(sqlite3_stmt*) for each row.
  template <typename OnRow, typename... Values>
  Status Query(const char* sql, OnRow on_row, const Values&... values) {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(handle_.get(), sql, -1, &raw, nullptr) != SQLITE_OK) return Failure();
    Statement statement(raw);
    int index = 0;
    if (((Bind(raw, ++index, values) != SQLITE_OK) || ...)) return Failure();
    int result;
    while ((result = sqlite3_step(raw)) == SQLITE_ROW) on_row(raw);
    if (result != SQLITE_DONE) return Failure();
    return {};
  }
  template <typename... Values>
  Status Run(const char* sql, const Values&... values) {
    return Query(
        sql, [](sqlite3_stmt*) {}, values...);
  }
  Result<int64_t> Number(const char* sql) {
    int64_t number = 0;
    Status status = Query(sql, [&number](sqlite3_stmt* row) { number = sqlite3_column_int64(row, 0); });
    if (!status.ok()) return status.error();
    return number;
  }

  [[nodiscard]] Error Failure() const {
    const int result = sqlite3_extended_errcode(handle_.get());
    const int reason = sqlite3_system_errno(handle_.get());
    const bool io = (result & 0xff) == SQLITE_IOERR || (result & 0xff) == SQLITE_CANTOPEN;
    // SQLite reports a failed write as "full", but reports "I/O error" when the shared memory did not fit.
    const bool full =
        (result & 0xff) == SQLITE_FULL || (io && (reason == ENOSPC || reason == EDQUOT || reason == EFBIG));
    std::string message = path_ + ": " + sqlite3_errmsg(handle_.get());
    if (io && reason != 0) message = OsError(std::move(message), reason).message;
    const bool no_descriptors = io && (reason == EMFILE || reason == ENFILE);
    return {full ? "disk_full" : no_descriptors ? "no_descriptors" : "store_failed", std::move(message)};
  }
  [[nodiscard]] Error Refusal(const std::string& reason) const {
    return {"store_failed", path_ + ": " + reason};
  }

 private:
  Database(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {}

  // The text must outlive the statement.
  static int Bind(sqlite3_stmt* statement, int index, std::string_view text) {
    return sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  static int Bind(sqlite3_stmt* statement, int index, int64_t number) {
    return sqlite3_bind_int64(statement, index, number);
  }

  std::unique_ptr<sqlite3, CloseDatabase> handle_;
  std::string path_;
};

std::string Text(sqlite3_stmt* row, int column) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(row, column));
  return {text ? text : "", static_cast<size_t>(sqlite3_column_bytes(row, column))};
}

MessageRecord MessageOf(sqlite3_stmt* row) {
  return {Text(row, 0), Text(row, 1), Text(row, 2), Text(row, 3), Text(row, 4), sqlite3_column_int64(row, 5)};
}

Status Upgrade(Database& database, int64_t version) {
  Status status = database.Execute("BEGIN IMMEDIATE");
  for (; status.ok() && version < kVersion; ++version) status = database.Execute(kSchema[version]);
  if (status.ok()) status = database.Execute(("PRAGMA user_version=" + std::to_string(kVersion)).c_str());
  if (status.ok())
    status = database.Execute(("PRAGMA application_id=" + std::to_string(kApplicationId)).c_str());
  if (status.ok()) status = database.Execute("COMMIT");
  return status;
}

Error FileError(std::string what, int err) { return {"store_failed", OsError(std::move(what), err).message}; }

// Makes a rename in `path`'s folder durable.
Status SyncFolder(const std::string& path) {
  const std::string folder = path.substr(0, path.find_last_of('/') + 1);
  Fd opened(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.valid() || ::fsync(opened.get()) != 0) return FileError("sync " + folder, errno);
  return {};
}

// A new file gets its name only once it is complete. An empty or half-made file under this name is therefore
// damage, and never taken for a town without agents.
Status Make(const std::string& path) {
  // SQLite would replay the -wal into the new file.
  if (::access((path + "-wal").c_str(), F_OK) == 0) {
    return Error{"store_failed",
                 path + ": the file is missing, but its -wal exists, so the store is damaged"};
  }
  const std::string draft = path + ".new";
  ::unlink(draft.c_str());
  ::unlink((draft + "-journal").c_str());
  // SQLite gives its -wal and -shm the mode of the file.
  Fd made(::open(draft.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!made.valid()) return FileError("make " + draft, errno);
  made.Close();
  {
    Result<Database> database = Database::Open(draft);
    if (!database.ok()) return database.error();
    if (Status status = Upgrade(*database, 0); !status.ok()) return status;
  }
  if (::rename(draft.c_str(), path.c_str()) != 0) return FileError("rename " + draft, errno);
  return SyncFolder(path);
}

// The schema's version, if the file is a store of reeve that this binary knows.
Result<int64_t> KnownVersion(Database& database) {
  Result<int64_t> owner = database.Number("PRAGMA application_id");
  if (!owner.ok()) return owner.error();
  Result<int64_t> version = database.Number("PRAGMA user_version");
  if (!version.ok()) return version.error();
  if (*owner != kApplicationId || *version < 1) return database.Refusal("not a store of reeve");
  if (*version > kVersion) {
    return database.Refusal("made by a newer reeve (schema " + std::to_string(*version) +
                            "; this one knows " + std::to_string(kVersion) + ")");
  }
  return version;
}

Status Accept(Database& database) {
  Result<int64_t> version = KnownVersion(database);
  if (!version.ok()) return version.error();
  if (*version < kVersion) {
    if (Status status = Upgrade(database, *version); !status.ok()) return status;
  }
  return database.Execute(kSettings);
}

Result<Database> OpenAccepted(const std::string& path) {
  Result<Database> database = Database::Open(path);
  if (!database.ok()) return database;
  if (Status accepted = Accept(*database); !accepted.ok()) return accepted.error();
  return database;
}

Status AddToCounter(Database& database, const std::string& counter, uint64_t count, uint64_t& before) {
  auto read = [&before, count](sqlite3_stmt* row) {
    before = static_cast<uint64_t>(sqlite3_column_int64(row, 0)) - count;
  };
  return database.Query(
      "INSERT INTO counters (name, value) VALUES (?1, ?2)"
      " ON CONFLICT (name) DO UPDATE SET value = value + ?2 RETURNING value",
      read, counter, static_cast<int64_t>(count));
}

}  // namespace

struct Store::State {
  State(Loop& the_loop, Database the_database, DiskReserve the_reserve)
      : loop(the_loop), reserve(std::move(the_reserve)), database(std::move(the_database)) {}

  struct Operation {
    std::function<Status(Database&)> act;
    Done done;
    Room room = Room::kFree;
  };

  Loop& loop;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);  // the loop's thread only

  std::mutex database_mutex;
  // Guarded by database_mutex.
  const DiskReserve reserve;
  Database database;
  bool erase = false;  // pages of the files may still show what was replaced or deleted

  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable idle;
  // Guarded by mutex. It is bounded because each caller waits for its answer.
  std::vector<Operation> queue;
  bool stopping = false;
  // Counted by the worker, to know when to trim.
  uint64_t messages_ended = 0, runs_put = 0, answers_put = 0, answer_bytes_put = 0;
  bool working = false;  // a batch is being committed

  std::thread worker;

  void Submit(std::function<Status(Database&)> act, Done done, Room room = Room::kFree) {
    {
      std::lock_guard<std::mutex> lock(mutex);
      queue.push_back({std::move(act), std::move(done), room});
    }
    wake.notify_one();
  }

  // Called after a message of an agent has ended. Now and then deletes all but the newest kMaxEnded ended
  // ones of that agent.
  Status TrimMessages(Database& in, const std::string& id) {
    if (++messages_ended % kTrimEvery != 0) return {};
    return in.Run(
        "DELETE FROM messages WHERE agent = (SELECT agent FROM messages WHERE id = ?1)"
        " AND state NOT IN ('queued', 'running') AND made <="
        " (SELECT made FROM messages WHERE agent = (SELECT agent FROM messages WHERE id = ?1)"
        "  AND state NOT IN ('queued', 'running') ORDER BY made DESC LIMIT 1 OFFSET ?2)",
        id, static_cast<int64_t>(kMaxEnded));
  }

  // Commits all of them in one transaction, so with one fsync: they succeed or fail together. With kReserve
  // only those that may use it.
  Status Transact(const std::vector<Operation>& batch, Room room) {
    Status status = database.Execute("BEGIN IMMEDIATE");
    for (const Operation& operation : batch) {
      if (status.ok() && (room == Room::kFree || operation.room == room)) status = operation.act(database);
    }
    if (status.ok()) status = database.Execute("COMMIT");
    if (!status.ok()) (void)database.Execute("ROLLBACK");  // SQLite may have rolled back already
    if (status.ok() && erase) Erase();
    return status;
  }

  // The results of those that may not use the reserve, and of those that may.
  struct Committed {
    Status free;
    Status reserve;
  };
  Committed Commit(const std::vector<Operation>& batch) {
    std::lock_guard<std::mutex> lock(database_mutex);
    const Status all = Transact(batch, Room::kFree);
    auto may = [](const Operation& operation) { return operation.room == Room::kReserve; };
    if (all || all.error().code != "disk_full" || std::none_of(batch.begin(), batch.end(), may))
      return {all, all};
    reserve.Release();
    Committed committed{all, Transact(batch, Room::kReserve)};
    reserve.Take();
    return committed;
  }

  // The WAL still holds the pages as they were. SQLite has zeroed what was deleted in the new ones.
  void Erase() {
    int64_t busy = 0;
    const Status emptied = database.Query("PRAGMA wal_checkpoint(TRUNCATE)", [&busy](sqlite3_stmt* row) {
      busy = sqlite3_column_int64(row, 0);
    });
    erase = !emptied || busy != 0;
    if (erase) log::Warning("the store's WAL cannot be emptied now; deleted secrets stay in it until it can");
  }

  void Work() {
    for (;;) {
      std::vector<Operation> batch;
      {
        std::unique_lock<std::mutex> lock(mutex);
        wake.wait(lock, [this] { return stopping || !queue.empty(); });
        if (queue.empty()) return;
        batch.swap(queue);
        working = true;
      }
      Committed committed = Commit(batch);
      // A `done` belongs to the loop. We move it there as a whole, so that it is also destroyed on the loop's
      // thread.
      auto finished = std::make_shared<std::vector<Operation>>(std::move(batch));
      loop.Post([still = alive, finished = std::move(finished), committed = std::move(committed)] {
        for (Operation& operation : *finished) {
          if (!*still) return;  // an earlier callback may have destroyed the store
          if (!operation.done) continue;
          operation.done(operation.room == Room::kReserve ? committed.reserve : committed.free);
        }
      });
      std::lock_guard<std::mutex> lock(mutex);
      working = false;
      idle.notify_one();
    }
  }
};

Store::Store(std::unique_ptr<State> state) : state_(std::move(state)) {
  state_->worker = std::thread([state = state_.get()] { state->Work(); });
}

Store::~Store() {
  {
    std::lock_guard<std::mutex> lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_one();
  state_->worker.join();
  *state_->alive = false;
}

Result<std::unique_ptr<Store>> Store::Open(Loop& loop, const std::string& path) {
  struct stat info {};
  for (const char* part : {"", "-wal", "-shm", "-journal"}) {  // SQLite would wait for ever for a FIFO
    const std::string file = path + part;
    if (::lstat(file.c_str(), &info) == 0 && !S_ISREG(info.st_mode))
      return Error{"store_failed", file + " is not a regular file"};
  }
  if (::stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT) return FileError(path, errno);
    if (Status made = Make(path); !made.ok()) return made.error();
  } else if (info.st_size == 0) {
    return Error{"store_failed", path + ": the file is empty, so it is not a store of reeve"};
  }
  if (::chmod(path.c_str(), 0600) != 0) return FileError("chmod " + path, errno);
  const DiskReserve reserve(path + "-reserve");
  Result<Database> database = OpenAccepted(path);
  if (!database.ok() && database.error().code == "disk_full") {
    reserve.Release();
    database = OpenAccepted(path);
  }
  if (!database.ok()) return database.error();
  reserve.Take();
  try {
    return std::unique_ptr<Store>(new Store(std::make_unique<State>(loop, std::move(*database), reserve)));
  } catch (const std::system_error& failure) {
    return OsError("make the thread of " + path, failure.code().value());
  }
}

Status Store::Check(const std::string& path) {
  Result<Database> database = Database::Open(path, SQLITE_OPEN_READONLY);
  if (!database.ok()) return database.error();
  Result<int64_t> version = KnownVersion(*database);
  return version.ok() ? Status() : version.error();
}

Status Store::Settle(int64_t timeout_ms) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  for (;;) {
    {
      std::unique_lock<std::mutex> lock(state_->mutex);
      auto at_rest = [this] { return state_->queue.empty() && !state_->working; };
      if (!state_->idle.wait_until(lock, deadline, at_rest)) {
        return Error{"busy",
                     "the store did not finish its writes within " + std::to_string(timeout_ms) + " ms"};
      }
    }
    if (!state_->loop.RunPosted()) return {};
  }
}

Result<std::vector<AgentRecord>> Store::LoadAgents() {
  std::lock_guard<std::mutex> lock(state_->database_mutex);
  std::vector<AgentRecord> agents;
  Status status = state_->database.Query(
      "SELECT id, spec, state, deleted FROM agents ORDER BY made", [&agents](sqlite3_stmt* row) {
        agents.push_back({Text(row, 0), Text(row, 1), Text(row, 2), sqlite3_column_int(row, 3) != 0});
      });
  if (!status.ok()) return status.error();
  return agents;
}

Result<std::vector<MessageRecord>> Store::LoadMessages() {
  std::lock_guard<std::mutex> lock(state_->database_mutex);
  std::vector<MessageRecord> messages;
  Status status = state_->database.Query(
      "SELECT id, agent, body, state, run, made FROM messages WHERE state IN ('queued', 'running') ORDER BY "
      "made",
      [&messages](sqlite3_stmt* row) { messages.push_back(MessageOf(row)); });
  if (!status.ok()) return status.error();
  return messages;
}

Result<uint64_t> Store::Reserve(const std::string& counter, uint64_t count) {
  uint64_t before = 0;
  auto act = [&](Database& database) { return AddToCounter(database, counter, count, before); };
  const Status status = state_->Commit({{act, nullptr, Room::kReserve}}).reserve;
  if (!status.ok()) return status.error();
  return before;
}

void Store::ReserveLater(std::string counter, uint64_t count, std::function<void(Result<uint64_t>)> done) {
  auto before = std::make_shared<uint64_t>(0);
  state_->Submit([counter = std::move(counter), count,
                  before](Database& database) { return AddToCounter(database, counter, count, *before); },
                 [before, done = std::move(done)](const Status& status) {
                   done(status.ok() ? Result<uint64_t>(*before) : Result<uint64_t>(status.error()));
                 });
}

namespace {

// `erase` is set if this replaces another spec.
Status WriteAgent(Database& database, const AgentRecord& record, bool& erase) {
  Status status = database.Query(
      "SELECT 1 FROM agents WHERE id = ?1 AND spec IS NOT ?2", [&erase](sqlite3_stmt*) { erase = true; },
      record.id, record.spec);
  if (!status) return status;
  return database.Run(
      "INSERT INTO agents (id, spec, state, deleted) VALUES (?1, ?2, ?3, ?4)"
      " ON CONFLICT (id) DO UPDATE SET spec = ?2, state = ?3, deleted = ?4",
      record.id, record.spec, record.state, int64_t{record.deleted});
}

Status WriteMessage(Database& database, const MessageRecord& record) {
  return database.Run(
      "INSERT INTO messages (id, agent, body, state, run) VALUES (?1, ?2, ?3, ?4, ?5)"
      " ON CONFLICT (id) DO UPDATE SET agent = ?2, body = ?3, state = ?4, run = ?5",
      record.id, record.agent, record.body, record.state, record.run);
}

}  // namespace

template <typename Found, typename Read>
void Store::Ask(Read read, std::function<void(Result<Found>)> done) {
  auto found = std::make_shared<Found>();
  state_->Submit([read = std::move(read), found](Database& database) { return read(database, *found); },
                 [found, done = std::move(done)](const Status& status) {
                   done(status.ok() ? Result<Found>(std::move(*found)) : Result<Found>(status.error()));
                 });
}

void Store::PutAgent(AgentRecord record, Done done, Room room) {
  state_->Submit([record = std::move(record),
                  of = state_.get()](Database& database) { return WriteAgent(database, record, of->erase); },
                 std::move(done), room);
}

void Store::PutAgent(AgentRecord record, MessageRecord first, Done done) {
  state_->Submit(
      [record = std::move(record), first = std::move(first), of = state_.get()](Database& database) {
        Status status = WriteAgent(database, record, of->erase);
        return status.ok() ? WriteMessage(database, first) : status;
      },
      std::move(done));
}

void Store::DeleteAgent(std::string id, Done done) {
  state_->Submit(
      [id = std::move(id), of = state_.get()](Database& database) {
        of->erase = true;
        Status status = database.Run("DELETE FROM messages WHERE agent = ?", id);
        if (status.ok()) status = database.Run("DELETE FROM runs WHERE agent = ?", id);
        return status.ok() ? database.Run("DELETE FROM agents WHERE id = ?", id) : status;
      },
      std::move(done), Room::kReserve);
}

void Store::AddMessages(std::vector<MessageRecord> records,
                        std::function<void(Result<std::optional<MessageRecord>>)> done) {
  Ask<std::optional<MessageRecord>>(
      [records = std::move(records)](Database& database, std::optional<MessageRecord>& there) {
        Status status = database.Query(
            "SELECT id, agent, body, state, run, made FROM messages WHERE id = ?",
            [&there](sqlite3_stmt* row) { there = MessageOf(row); }, records.front().id);
        for (const MessageRecord& record : records) {
          if (status.ok() && !there) status = WriteMessage(database, record);
        }
        return status;
      },
      std::move(done));
}

void Store::AddMessage(MessageRecord record, std::function<void(Result<std::optional<MessageRecord>>)> done) {
  AddMessages({std::move(record)}, std::move(done));
}

void Store::PutMessage(MessageRecord record, Done done) {
  state_->Submit(
      [record = std::move(record), of = state_.get()](Database& database) {
        Status status = WriteMessage(database, record);
        const bool waits = record.state == "queued" || record.state == "running";
        return status && !waits ? of->TrimMessages(database, record.id) : status;
      },
      std::move(done));
}

void Store::EndMessage(std::string id, std::string state, std::string run, Done done) {
  state_->Submit(
      [id = std::move(id), state = std::move(state), run = std::move(run),
       of = state_.get()](Database& database) {
        Status status =
            database.Run("UPDATE messages SET state = ?2, run = ?3 WHERE id = ?1", id, state, run);
        return status ? of->TrimMessages(database, id) : status;
      },
      std::move(done));
}

void Store::FailMessage(std::string id, std::string reason, Done done) {
  state_->Submit(
      [id = std::move(id), reason = std::move(reason), of = state_.get()](Database& database) {
        Status status = database.Run(
            "UPDATE messages SET state = 'failed', run = '', body = json_set(body, '$.reason', ?2) WHERE id "
            "= ?1",
            id, reason);
        return status ? of->TrimMessages(database, id) : status;
      },
      std::move(done));
}

void Store::PutRun(RunRecord record, Done done) {
  state_->Submit(
      [record = std::move(record), of = state_.get()](Database& database) {
        Status status = database.Run(
            "INSERT INTO runs (agent, number, body) VALUES (?1, ?2, ?3)"
            " ON CONFLICT (agent, number) DO UPDATE SET body = ?3",
            record.agent, static_cast<int64_t>(record.number), record.body);
        if (!status.ok() || ++of->runs_put % kTrimEvery != 0) return status;
        return database.Run(
            "DELETE FROM runs WHERE agent = ?1 AND number <="
            " (SELECT number FROM runs WHERE agent = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
            record.agent, static_cast<int64_t>(kMaxEnded));
      },
      std::move(done));
}

void Store::AddRun(RunRecord record, Done done) {
  state_->Submit(
      [record = std::move(record)](Database& database) {
        return database.Run(
            "INSERT INTO runs (agent, number, body) VALUES (?, ?, ?) ON CONFLICT (agent, number) DO NOTHING",
            record.agent, static_cast<int64_t>(record.number), record.body);
      },
      std::move(done));
}

void Store::PutAnswer(AnswerRecord record, Done done) {
  state_->Submit(
      [record = std::move(record), of = state_.get()](Database& database) {
        const auto token = static_cast<int64_t>(record.token);
        Status status = database.Run(
            "INSERT INTO answers (key, request, answer, made_ms, token, bytes) VALUES (?1, ?2, ?3, ?4, ?5, "
            "?6)"
            " ON CONFLICT (key) DO UPDATE SET request = ?2, answer = ?3, made_ms = ?4, bytes = ?6",
            record.key, record.request, record.answer, record.made_ms, token,
            static_cast<int64_t>(record.answer.size()));
        of->answer_bytes_put += record.answer.size();
        if (!status.ok() || (++of->answers_put % kTrimEvery != 0 && of->answer_bytes_put < kTrimBytes))
          return status;
        of->answer_bytes_put = 0;
        status = database.Run("DELETE FROM answers WHERE made_ms <= ?", record.made_ms - kAnswerMs);
        if (!status.ok()) return status;
        status = database.Run(
            "DELETE FROM answers WHERE token = ?1 AND made_ms <= (SELECT MAX(made_ms) FROM"
            " (SELECT made_ms, SUM(bytes) OVER (ORDER BY made_ms DESC) AS total FROM answers WHERE token = "
            "?1)"
            " WHERE total > ?2)",
            token, static_cast<int64_t>(kMaxTokenAnswers));
        if (!status.ok()) return status;
        return database.Run(
            "DELETE FROM answers WHERE made_ms <="
            " (SELECT made_ms FROM answers ORDER BY made_ms DESC LIMIT 1 OFFSET ?)",
            static_cast<int64_t>(kMaxAnswers));
      },
      std::move(done));
}

// ------------------------------------------------------------------------------------------------- reading

void Store::ListRuns(std::string agent, uint64_t before, size_t limit,
                     std::function<void(Result<std::vector<RunRecord>>)> done) {
  const int64_t below = before > INT64_MAX ? INT64_MAX : static_cast<int64_t>(before);
  Ask<std::vector<RunRecord>>(
      [agent = std::move(agent), below, limit](Database& database, std::vector<RunRecord>& found) {
        return database.Query(
            "SELECT agent, number, body FROM runs WHERE agent = ? AND number < ?"
            " ORDER BY number DESC LIMIT ?",
            [&found](sqlite3_stmt* row) {
              found.push_back(
                  {Text(row, 0), static_cast<uint64_t>(sqlite3_column_int64(row, 1)), Text(row, 2)});
            },
            agent, below, static_cast<int64_t>(limit));
      },
      std::move(done));
}

void Store::FindRun(std::string agent, std::string text,
                    std::function<void(Result<std::optional<RunRecord>>)> done) {
  Ask<std::optional<RunRecord>>(
      [agent = std::move(agent), text = std::move(text)](Database& database,
                                                         std::optional<RunRecord>& found) {
        return database.Query(
            "SELECT agent, number, body FROM runs WHERE agent = ? AND instr(body, ?) > 0"
            " ORDER BY number DESC LIMIT 1",
            [&found](sqlite3_stmt* row) {
              found = {Text(row, 0), static_cast<uint64_t>(sqlite3_column_int64(row, 1)), Text(row, 2)};
            },
            agent, text);
      },
      std::move(done));
}

void Store::ListMessages(std::string agent, int64_t after, size_t limit,
                         std::function<void(Result<std::vector<MessageRecord>>)> done) {
  Ask<std::vector<MessageRecord>>(
      [agent = std::move(agent), after, limit](Database& database, std::vector<MessageRecord>& found) {
        return database.Query(
            "SELECT id, agent, body, state, run, made FROM messages WHERE agent = ? AND made > ?"
            " ORDER BY made LIMIT ?",
            [&found](sqlite3_stmt* row) { found.push_back(MessageOf(row)); }, agent, after,
            static_cast<int64_t>(limit));
      },
      std::move(done));
}

void Store::FindMessage(std::string id, std::function<void(Result<std::optional<MessageRecord>>)> done) {
  Ask<std::optional<MessageRecord>>(
      [id = std::move(id)](Database& database, std::optional<MessageRecord>& found) {
        return database.Query(
            "SELECT id, agent, body, state, run, made FROM messages WHERE id = ?",
            [&found](sqlite3_stmt* row) { found = MessageOf(row); }, id);
      },
      std::move(done));
}

void Store::FindAnswer(std::string key, std::function<void(Result<std::optional<AnswerRecord>>)> done) {
  Ask<std::optional<AnswerRecord>>(
      [key = std::move(key)](Database& database, std::optional<AnswerRecord>& found) {
        return database.Query(
            "SELECT key, request, answer, made_ms, token FROM answers WHERE key = ?",
            [&found](sqlite3_stmt* row) {
              found = AnswerRecord{Text(row, 0), Text(row, 1), Text(row, 2), sqlite3_column_int64(row, 3),
                                   static_cast<uint64_t>(sqlite3_column_int64(row, 4))};
            },
            key);
      },
      std::move(done));
}

}  // namespace reeve
