#include "control/api/operation.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <set>
#include <utility>

#include "control/api/api.h"
#include "orchestrator/agent/agent.h"
#include "process/log.h"

namespace reeve {

namespace {

using In = Parameter::In;
using Type = Parameter::Type;

constexpr size_t kMaxTypesBytes = 4096;  // each event is compared with all of them

Error Wrong(const Parameter& parameter, std::string_view reason) {
  return {"invalid_request", std::string(parameter.name).append(": ").append(reason)};
}

// "a, b or c"
std::string ListOf(const std::vector<std::string_view>& choices) {
  std::string list;
  for (size_t i = 0; i < choices.size(); ++i) {
    list.append(i == 0 ? "" : i + 1 == choices.size() ? " or " : ", ").append(choices[i]);
  }
  return list;
}

std::string DescribeGood(const Parameter& parameter) {
  if (!parameter.must.empty()) return std::string(parameter.must);
  if (!parameter.choices.empty()) return "must be " + ListOf(parameter.choices);
  switch (parameter.type) {
    case Type::kInteger:
      return "must be a whole number from " + std::to_string(parameter.least) + " to " +
             std::to_string(parameter.most);
    case Type::kBoolean:
      return "must be true or false";
    case Type::kCursor:
      return std::string(kCursorMust);
    case Type::kLabels:
      return "must be key:value";
    case Type::kJson:
      return "is missing";
    case Type::kTypes:
      return "must be types of events, such as run.*";
    case Type::kBytes:
      return R"(must be a string, or {"base64": "…"} for bytes that are not UTF-8)";
    default:
      return "must be a string";
  }
}

// The name of a member that an object in `value` has twice. Readers disagree on which one counts (RFC 8259
// section 4). The depth is limited by the parser.
std::optional<std::string> FindRepeatedKey(const JsonValue& value) {
  if (value.Is(JsonType::kArray)) {
    for (const JsonValue& element : value.Elements()) {
      if (auto key = FindRepeatedKey(element)) return key;
    }
  }
  if (!value.Is(JsonType::kObject)) return std::nullopt;
  std::set<std::string_view> keys;
  for (const auto& [key, member] : value.Members()) {
    if (!keys.insert(key).second) return std::string(key.substr(0, 64));
    if (auto inner = FindRepeatedKey(member)) return inner;
  }
  return std::nullopt;
}

// An empty body is {}.
Result<JsonDocument> ParseBody(std::string_view body) {
  return JsonDocument::Parse(body.empty() ? "{}" : body);
}

Status CheckNoneTwice(const JsonValue& json) {
  const auto key = FindRepeatedKey(json);
  return key ? Error{"invalid_request", "the member " + *key + " is there twice"} : Status();
}

// The bytes of {"base64": "…"}.
std::optional<std::string> DecodeBytes(const JsonValue& given) {
  const auto text = given["base64"].AsString();
  return text && given.size() == 1 ? FromBase64(*text) : std::nullopt;
}

std::string Joined(const std::vector<std::string_view>& texts) {
  std::string list;
  for (const std::string_view text : texts) list.append(list.empty() ? "" : ",").append(text);
  return list;
}

// The strings of an array, or one string; nothing for anything else.
std::optional<std::vector<std::string_view>> StringsOf(const JsonValue& given) {
  if (const auto one = given.AsString()) return std::vector{*one};
  if (!given.Is(JsonType::kArray)) return std::nullopt;
  std::vector<std::string_view> texts;
  for (const JsonValue& element : given.Elements()) {
    const auto text = element.AsString();
    if (!text) return std::nullopt;
    texts.push_back(*text);
  }
  return texts;
}

}  // namespace

// ---------------------------------------------------------------------------------------------- declarations

Parameter Parameter::Between(int64_t low, int64_t high) && {
  least = low;
  most = high;
  return std::move(*this);
}
Parameter Parameter::OneOf(std::vector<std::string_view> values) && {
  choices = std::move(values);
  return std::move(*this);
}
Parameter Parameter::Must(std::string_view description) && {
  must = description;
  return std::move(*this);
}
Parameter Parameter::Required() && {
  required = true;
  return std::move(*this);
}

Parameter PathAgent(Type type) {
  return {.name = "id", .in = In::kPath, .type = type, .text = "The agent's id.", .required = true};
}
Parameter Path(std::string_view name, std::string_view text) {
  return {.name = name, .in = In::kPath, .type = Type::kString, .text = text, .required = true};
}
Parameter Query(std::string_view name, Type type, std::string_view text) {
  return {.name = name, .in = In::kQuery, .type = type, .text = text};
}
Parameter Member(std::string_view name, Type type, std::string_view text) {
  return {.name = name, .in = In::kBody, .type = type, .text = text};
}
Parameter JsonMember(std::string_view name, std::string_view schema, std::string_view text) {
  return {.name = name, .in = In::kBody, .type = Type::kJson, .text = text, .schema = schema};
}
Parameter WholeBody(std::string_view name, std::string_view schema, std::string_view text) {
  return {
      .name = name, .in = In::kWhole, .type = Type::kJson, .text = text, .required = true, .schema = schema};
}
Parameter WholeBytes(std::string_view name, std::string_view text) {
  return {.name = name, .in = In::kWhole, .type = Type::kBytes, .text = text, .required = true};
}

bool Operation::Has(In in) const {
  return std::any_of(parameters.begin(), parameters.end(),
                     [in](const Parameter& one) { return one.in == in; });
}

const Parameter* Operation::Find(std::string_view parameter) const {
  const auto found = std::find_if(parameters.begin(), parameters.end(),
                                  [parameter](const Parameter& one) { return one.name == parameter; });
  return found == parameters.end() ? nullptr : &*found;
}

bool Operation::params_are_whole() const {
  return parameters.size() == 1 && parameters.front().in == In::kWhole &&
         parameters.front().type == Type::kJson;
}

bool Operation::reads_members() const { return method != "GET" && method != "DELETE" && !Has(In::kWhole); }

Status CheckMembers(const JsonValue& object, const std::vector<std::string_view>& known) {
  for (const auto& [key, value] : object.Members()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    return Error{"invalid_request", "unknown field " + std::string(key.substr(0, 64))};
  }
  return {};
}

// --------------------------------------------------------------------------------------------------
// arguments

std::optional<std::string_view> Call::Argument::Text() const {
  return texts.empty() ? json.AsString() : texts.front();
}

std::optional<int64_t> Call::Argument::Integer() const {
  if (texts.empty()) return json.AsInt();
  const std::string_view text = texts.front();
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<bool> Call::Argument::Flag() const {
  if (texts.empty()) return json.AsBool();
  if (texts.front() == "true") return true;
  if (texts.front() == "false") return false;
  return std::nullopt;
}

Call::Call(const Operation& operation, const Request& request)
    : operation_(&operation), request_(&request), arguments_(operation.parameters.size()) {}

Result<Call> Call::Read(const ApiContext& api, const Operation& operation, const Request& request) {
  Call call(operation, request);
  call.TakePathAndQuery();
  if (Status found = call.FindAgent(api); !found) return found.error();
  if (Status read = call.ReadBody(); !read) return read.error();
  if (Status good = call.CheckArguments(); !good) return good.error();
  return call;
}

Result<Call> Call::ReadParams(const ApiContext& api, const Operation& operation, const Request& request) {
  auto params = ParseBody(request.body);
  if (!params) return params.error();
  if (!params->root().Is(JsonType::kObject))
    return Error{"invalid_request", "params: must be an object, because each argument has a name"};
  Call call(operation, request);
  call.body_ = std::move(*params);
  call.TakeParams();
  if (Status found = call.FindAgent(api); !found) return found.error();
  if (Status known = call.CheckParams(); !known) return known.error();
  if (Status good = call.CheckArguments(); !good) return good.error();
  return call;
}

void Call::TakePathAndQuery() {
  size_t segment = 0;
  for (size_t i = 0; i < arguments_.size(); ++i) {
    const Parameter& parameter = operation_->parameters[i];
    if (parameter.in == In::kPath) arguments_[i].texts = {request_->params.at(segment++)};
    if (parameter.type == Type::kBytes) arguments_[i].texts = {request_->body};
    if (parameter.in != In::kQuery) continue;
    for (const auto& [name, value] : request_->query) {
      if (name == parameter.name) arguments_[i].texts.emplace_back(value);
    }
  }
}

void Call::TakeParams() {
  if (operation_->params_are_whole()) {
    arguments_.front().json = body();
    return;
  }
  for (size_t i = 0; i < arguments_.size(); ++i) {
    const Parameter& parameter = operation_->parameters[i];
    arguments_[i] = ArgumentOf(parameter, body()[parameter.name]);
  }
}

// A value of another type stays as it is, and Check refuses it.
Call::Argument Call::ArgumentOf(const Parameter& parameter, const JsonValue& given) {
  const auto made = [this](std::string text) { return Argument{{made_.emplace_back(std::move(text))}, {}}; };
  if (parameter.type == Type::kBytes) {
    if (auto bytes = DecodeBytes(given)) return made(std::move(*bytes));
  } else if (parameter.type == Type::kLabels) {
    if (auto texts = StringsOf(given)) return {std::move(*texts), {}};
  } else if (parameter.type == Type::kTypes) {
    if (auto texts = StringsOf(given); texts && !texts->empty()) return made(Joined(*texts));
  } else if (parameter.type == Type::kString && parameter.in == In::kPath) {
    if (const auto number = given.AsInt()) return made(std::to_string(*number));
  }
  return {{}, given};
}

Status Call::FindAgent(const ApiContext& api) {
  if (operation_->parameters.empty()) return {};
  const Type type = operation_->parameters.front().type;
  if (type != Type::kAgent && type != Type::kAnyAgent) return {};
  const auto id = arguments_.front().Text();
  if (!id) return Wrong(operation_->parameters.front(), "must be a string");
  auto found = reeve::FindAgent(api, std::string(*id));
  if (!found) return found.error();
  agent_ = *found;
  if (type == Type::kAgent && agent_->deleted())
    return Error{"agent_deleted", "agent " + agent_->id() + " has been deleted"};
  if (operation_->not_of_itself && caller() && caller()->agent == agent_->id())
    return Error{"forbidden", "agent " + agent_->id() + " may not answer its own requests"};
  return {};
}

Status Call::ReadBody() {
  const bool members = operation_->reads_members();
  const bool whole = operation_->Has(In::kWhole) && operation_->parameters.back().type == Type::kJson;
  if (!members && !whole) return {};
  auto body = ParseBody(request_->body);
  if (!body) return body.error();
  if (Status once = CheckNoneTwice(body->root()); !once) return once;
  body_ = std::move(*body);
  if (whole) {
    arguments_.back().json = body_->root();
    return {};
  }
  if (!body_->root().Is(JsonType::kObject)) return Error{"invalid_request", "the body is not a JSON object"};
  std::vector<std::string_view> known;
  for (size_t i = 0; i < arguments_.size(); ++i) {
    const Parameter& parameter = operation_->parameters[i];
    if (parameter.in != In::kBody) continue;
    known.push_back(parameter.name);
    arguments_[i].json = body_->root()[parameter.name];
  }
  return CheckMembers(body_->root(), known);
}

Status Call::CheckParams() const {
  if (Status once = CheckNoneTwice(body()); !once) return once;
  if (operation_->params_are_whole()) return {};
  std::vector<std::string_view> known;
  for (const Parameter& parameter : operation_->parameters) known.push_back(parameter.name);
  return CheckMembers(body(), known);
}

Status Call::CheckArguments() const {
  for (size_t i = 0; i < arguments_.size(); ++i) {
    if (Status good = Check(operation_->parameters[i], arguments_[i]); !good) return good;
  }
  return {};
}

Status Call::Check(const Parameter& parameter, const Argument& argument) {
  if (!argument.present()) return parameter.required ? Wrong(parameter, DescribeGood(parameter)) : Status();
  bool good = true;
  switch (parameter.type) {
    case Type::kInteger: {
      const auto number = argument.Integer();
      good = number && *number >= parameter.least && *number <= parameter.most;
      break;
    }
    case Type::kBoolean:
      good = argument.Flag().has_value();
      break;
    case Type::kCursor: {
      const auto text = argument.Text();
      good = text && (text->empty() || Cursor::Parse(*text));
      break;
    }
    case Type::kTypes: {
      const auto text = argument.Text();
      good = text.has_value();
      if (text && text->size() > kMaxTypesBytes)
        return Wrong(parameter, "must have at most " + std::to_string(kMaxTypesBytes) + " bytes");
      if (auto types = TypeFilter::Parse(text.value_or("")); !types) return types.error();
      break;
    }
    case Type::kLabels:
      good = !argument.json &&
             std::all_of(argument.texts.begin(), argument.texts.end(),
                         [](std::string_view text) { return text.find(':') != std::string_view::npos; });
      break;
    case Type::kString: {
      const auto text = argument.Text();
      const auto& choices = parameter.choices;
      good = text && (choices.empty() || std::find(choices.begin(), choices.end(), *text) != choices.end());
      break;
    }
    case Type::kBytes:
    case Type::kAgent:
    case Type::kAnyAgent:
      good = argument.Text().has_value();
      break;
    case Type::kJson:
      break;
  }
  return good ? Status() : Wrong(parameter, DescribeGood(parameter));
}

const Call::Argument& Call::Given(std::string_view name) const {
  const auto& all = operation_->parameters;
  const auto found =
      std::find_if(all.begin(), all.end(), [name](const Parameter& one) { return one.name == name; });
  if (found == all.end()) {
    log::Failure("{} has no parameter {}", operation_->name, name);
    std::abort();
  }
  return arguments_[static_cast<size_t>(found - all.begin())];
}

std::optional<std::string_view> Call::Text(std::string_view name) const { return Given(name).Text(); }
std::string Call::String(std::string_view name) const { return std::string(Text(name).value_or("")); }
std::optional<int64_t> Call::Integer(std::string_view name) const { return Given(name).Integer(); }
std::optional<bool> Call::Flag(std::string_view name) const { return Given(name).Flag(); }
JsonValue Call::Json(std::string_view name) const { return Given(name).json; }

std::optional<Cursor> Call::Position(std::string_view name) const {
  return Cursor::Parse(Text(name).value_or(""));
}

TypeFilter Call::Types(std::string_view name) const { return *TypeFilter::Parse(Text(name).value_or("")); }

Call::Labels Call::LabelsOf(std::string_view name) const {
  Labels labels;
  for (const std::string_view text : Given(name).texts) {
    const size_t colon = text.find(':');
    labels.emplace_back(text.substr(0, colon), text.substr(colon + 1));
  }
  return labels;
}

}  // namespace reeve
