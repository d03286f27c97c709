# SPDX-License-Identifier: MIT
# For a guest that does what the host says: a command a line, until `end`.

serve_commands() {
    while read -r command <&3; do
        [ "$command" = end ] && end
        eval "$command" </dev/null >&3 2>&1 3>&-
        status=$?
        # Its output may end without a line end.
        echo >&3
        mark "ended $status"
    done
    end
}
