#include "tests/support/talking_agent.h"

namespace reeve {

namespace {

constexpr const char* kScript = R"script(
here=$(dirname "$0")
n=0
say() { echo '{"type":"assistant","message":{"id":"m'$n'","role":"assistant","content":[{"type":"text","text":"'"$1"'"}]}}'; }
delta() { echo '{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"'"$1"'"}}}'; }
begin() { echo '{"type":"stream_event","event":{"type":"message_start","message":{"id":"m'$n'","role":"assistant","content":[]}}}'
  echo '{"type":"stream_event","event":{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}}'; }
end() { echo '{"type":"result","is_error":false,"usage":{"input_tokens":1200,"output_tokens":34}}'; }
result() { echo '{"type":"user","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"'$called'","is_error":'$1',"content":"'"$2"'"}]}}'; }
call() { called=t$n; echo '{"type":"assistant","message":{"id":"m'$n'","role":"assistant","content":[{"type":"tool_use","id":"t'$n'","name":"Bash","input":{"command":"make -j4 && echo done"}}]}}'; }
while read -r line; do
  n=$((n + 1))
  case "$line" in
  *'"initialize"'*)
    echo '{"type":"control_response","response":{"subtype":"success","request_id":"initialize-1"}}' ;;
  *'"control_response"'*'"allow"'*)
    result false done; say allowed; end ;;
  *'"control_response"'*)
    result true denied; say denied; end ;;
  *'"interrupt"'*)
    echo '{"type":"result","is_error":true,"terminal_reason":"aborted_tools"}' ;;
  *'"text":"ask"'*)
    echo '{"type":"system","subtype":"init","session_id":"s1"}'
    call
    echo '{"type":"control_request","request_id":"asks-'$n'","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"make -j4 && echo done"},"tool_use_id":"t'$n'"}}' ;;
  *'"text":"slow"'*)
    echo '{"type":"system","subtype":"init","session_id":"s1"}'
    begin; delta 'half a '
    (while [ ! -e "$here/finish" ]; do sleep 0.02; done; rm "$here/finish"; delta sentence; say 'half a sentence'; end) & ;;
  *'"text":"work"'*)
    echo '{"type":"system","subtype":"init","session_id":"s1"}'
    call
    result true 'no rule'; say 'it failed'; end ;;
  *'"user"'*)
    echo '{"type":"system","subtype":"init","session_id":"s1"}'
    say "you said: $(printf '%s' "$line" | sed 's/.*"text":"\([^"]*\)".*/\1/; s/\\/\\\\/g')"; end ;;
  esac
done
)script";

}  // namespace

TalkingAgent::TalkingAgent(const Daemon& daemon) : daemon_(daemon), script_(daemon.data_dir() + "/talks.sh") {
  WriteFile(script_, kScript);
}

void TalkingAgent::Create(const std::string& id, const std::string& more) const {
  daemon_.Create(R"({"id":")" + id + R"(","kind":"claude","command":["/bin/sh",")" + script_ + "\"]" + more +
                 "}");
}

void TalkingAgent::Finish() const { WriteFile(daemon_.data_dir() + "/finish", ""); }

}  // namespace reeve
