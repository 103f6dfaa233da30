"""Every bound in one place, with its reason and what happens when it is reached.

The asserts at the end relate bounds to one another: a change that breaks a relation fails at import.
"""

from __future__ import annotations

from .units import DAY_MS, HOUR_MS, KIB, MIB, MINUTE_MS, SECOND_MS

# --- Encoding. Beyond any of these the bytes are refused before they are looked at further. ---
INTEGER_MAX = 2**63 - 1  # SQLite's integer; ours in every field of an entry
VALUE_INTEGER_MIN = -(2**63)  # a user's value: what a 64-bit language holds, signed or not
VALUE_INTEGER_MAX = 2**64 - 1  # CBOR's largest integer without a tag
CBOR_DEPTH_MAX = 16
ENTRY_BYTES_MAX = 64 * KIB  # one Noise message; fits a slow contact whole
ENTRY_PARENTS_MAX = 16
ENTRY_RECORDS_MAX = 64
GRANT_BYTES_MAX = 4 * KIB
REVOCATION_BYTES_MAX = GRANT_BYTES_MAX + 512  # an operator's holds its grant
# By operators, and as many by roots: kept for good and told to every peer that lacks some. One more is refused.
REVOCATIONS_MAX = 1_000
REVOCATIONS_PER_MESSAGE_MAX = 32
ADVERT_BYTES_MAX = 8 * KIB
GRANT_DEPTH_MAX = 5

# --- Objects. ---
# A result above this belongs into a blob; until blobs exist the outcome is `invalid` and says so.
RESULT_BYTES_MAX = 16 * KIB
ARGUMENTS_BYTES_MAX = 16 * KIB
SIGNAL_BYTES_MAX = 16 * KIB
ERROR_TEXT_BYTES_MAX = 1 * KIB  # a bounded digest: no secrets, no tracebacks in an object
NAME_BYTES_MAX = 128
LIST_ITEMS_MAX = 64  # needs, holders, readers, triggers named in one record
OBJECT_ENTRIES_MAX = 10_000  # then the object is parked
OBJECT_BYTES_MAX = 16 * MIB
STEPS_WARN = 1_000  # `status` names the handler
PUBLISHED_NAMES_MAX = 64
UNITS_MAX = 1_000  # of one kind of work in one object; their names must also fit one published value
UNITS_COMPARED_MAX = 64  # units, and devices, compared for one choice: about 4 ms; of more a sample is looked at
CLAIM_MS_MAX = 7 * DAY_MS
CLAIMS_EACH_MAX = 64  # of one device at once; more are given back at once
UNIT_PARTS_MAX = 16  # that one try of a unit hands on before it is done; one more is refused where it is told
UNIT_RISE_PERMILLE = 50  # of progress without a part, between two records of it: at most 20 of one unit
DELEGATION_DEPTH_MAX = 4  # parents above one object; a deeper child is refused where it is made, and void elsewhere
FANOUT_MAX = 16  # children that one body awaits at once; with the depth a family has at most 69,904 descendants
CHILDREN_MAX = 256  # that one run of a body makes in all: each is remembered in the object
# Of one device that neither made an object nor has custody of it, in that object: signals, and results and parts of
# units. What is beyond is kept and reaches no body: each that does costs the custodian an entry.
SIGNALS_EACH_MAX = 256
UNIT_SIGNALS_EACH_MAX = 2 * UNITS_MAX
INPUTS_MAX = 1_000  # signals held by one object; one more is refused where it is made
LIFETIME_MS_DEFAULT = 30 * DAY_MS
LIFETIME_MS_MAX = 3_650 * DAY_MS
DORMANCY_MS_MAX = 30 * DAY_MS  # forced expiry of a dormancy that names none

# --- Conditions and triggers. Refused where written; void in an entry. ---
CONDITION_DEPTH_MAX = 8
CONDITION_NODES_MAX = 64
LEAVES_MAX = 500  # things one sleep waits for by name; with more it also looks again each minute
TREE_BYTES_MAX = 48 * KIB  # of one trigger: LEAVES_MAX leaves of 90 bytes; with its envelope it fits one entry
TRIGGER_NODES_MAX = 1_024  # a body may await many things at once, a leaf each; a record's bytes bind first
CONDITION_TEXT_BYTES_MAX = 2 * KIB
FACT_NAME_BYTES_MAX = 96
FACT_VALUE_BYTES_MAX = 256
FACT_PAST_MAX = 8  # values of one fact remembered for `explain`; the oldest goes
FACTS_MAX = 1_000
FACT_MAX_AGE_MS_DEFAULT = 10 * 365 * DAY_MS  # a fact set by hand holds until it is set again
FACT_INTERVAL_MS_MIN = 1 * SECOND_MS  # nothing is read more often; a shorter cadence is refused in the configuration
FACT_GAP_MS = 1 * SECOND_MS  # between two values of one fact handed to the node; of what is between the newest counts
FACT_CONTENT_BYTES_MAX = 4 * KIB  # of a file or message that holds facts; a larger one is not read
FACT_FIELDS_MAX = 32  # facts in one file or message
RESULTS_AT_ONCE_MAX = 32  # results handed to a bridge in one go
BRIDGE_WAIT_MS_FIRST = 1 * SECOND_MS  # after a lost broker or vehicle; doubled
BRIDGE_WAIT_MS_MAX = 60 * SECOND_MS  # a try on the own LAN is cheap; a link that comes up ends the wait
BRIDGE_CONNECT_MS_MAX = 5 * SECOND_MS
MAVLINK_MESSAGES_PER_TURN_MAX = 64  # then the loop gets its turn

# --- Polling. ---
POLL_MS_MIN = 1 * SECOND_MS  # below it, subscribe instead; a shorter cadence is refused where it is written
POLL_MS_MAX = DAY_MS  # a longer interval is refused where it is written: a run's dues stay cheap to count
POLL_ABORTED_MS = 15 * SECOND_MS  # between polls whose source is absent, or the least interval if that is shorter
POLLS_ABORTED_MAX = 8  # in a row, some two minutes; then an operator is told and the longest interval is kept
POLLED_PROBES_MAX = 64  # that one run of a body may name; each is remembered in the object
POLL_UNTIL_BYTES_MAX = 4 * KIB  # of a wait's condition, kept in each of its records: no body is needed to judge by it
CURSOR_BYTES_MAX = 64  # of a place in a source: an offset and a fingerprint of what lies before it
PROBE_BYTES_MAX = 4 * KIB  # of text or lines in one reading; a log's rest comes with the next poll
PROBE_TIMEOUT_MS_DEFAULT = 10 * SECOND_MS  # for one poll; then the source counts as absent
PROBE_TIMEOUT_MS_MAX = 60 * SECOND_MS  # a longer one is refused in the configuration
PROBE_ANSWER_MS_MAX = 90 * SECOND_MS  # then a poll is given up and made anew: the process that asked may be gone
PROBE_HEAD_BYTES_MAX = 256  # of a log's beginning, by which a new log under the old name is told
PROBE_FILE_BYTES_MAX = 16 * MIB  # of a file that is hashed at each poll; of a larger one size and time must do
PROBE_HEADER_CHARS_MAX = 256  # of one header in a reading; the rest is cut
PROBES_IN_FLIGHT_MAX = 8  # at once on a device, each a thread; more wait in order
PROBES_MAX = 64  # in the configuration

# --- Custody. ---
OFFERS_MAX = 8  # candidates tried in a row, then dormant on peer(capability)
OFFER_MS_MAX = 24 * HOUR_MS

# --- Running programs. ---
BODY_SLICE_MS_MAX = 1_000  # a body that does not come back is interrupted: `crashed`
STEPS_IN_FLIGHT_MAX = 256  # per device; more wait in order
HUNG_THREADS_MAX = 16  # threads that never came back and were replaced; then plain steps wait
WORKER_THREADS = 4  # plain functions; a hung one keeps its thread and is counted
STEP_TIMEOUT_MS_DEFAULT = 10 * MINUTE_MS
DEATHS_ELSEWHERE = 2  # process deaths in one step before the object is offered elsewhere
SILENCES_ELSEWHERE = 2  # timeouts in a row at one peer before another is asked first
DEATHS_MAX = 3  # before it is quarantined, over the whole chain
RESUMPTIONS_PER_TURN_MAX = 1_000  # a body that takes more in one turn goes on in the next
ATTEMPTS_MAX = 1_000  # of one step's own `Retry`; more is refused where it is written
CAUSES_MAX = 16  # wrapped exceptions looked at for evidence; beyond them the outcome is `crashed`
# A task inside a task inside a task: its scope stands in every call path below it, and a path has 512 characters.
SCOPE_CHARS_MAX = 300
COMPLAINTS_MAX = 16  # texts kept of what asyncio would have logged about one body; more are dropped
AWAITS_AT_CLOSE_MAX = 100  # awaits refused to one coroutine that is being freed; then it is dropped as it is

# --- Advice. ---
ADVICE_BYTES_MAX = 8 * KIB  # of one proposal; a longer answer counts as none
ADVICE_CONFIDENCE_MAX = 1_000
ADVICE_QUESTION_BYTES_MAX = 4 * KIB  # refused where it is asked
ADVICE_TOPIC_BYTES_MAX = 96  # with its prefix it is the name of a published value
ADVICE_MS_DEFAULT = 1 * MINUTE_MS  # how long a body waits for it: no advisor may be there at all
ADVICE_VALID_MS_DEFAULT = 10 * MINUTE_MS
ADVICE_VALID_MS_MAX = DAY_MS
ADVISOR_ANSWER_BYTES_MAX = 64 * KIB  # of one HTTP answer; longer ones are cut off and count as none
ADVISOR_PAUSE_S_MAX = 3_600  # a Retry-After is believed so far
ADVISOR_QUEUE_MAX = 16  # questions that wait for one advisor; one more is dropped, as if it were absent
ADVISOR_TIMEOUT_S_MAX = 600
ADVISOR_CALLS_PER_HOUR_MAX = 3_600
ADVISOR_FACTS_MAX = 100  # shown to an advisor, by alphabet

# --- The node thread. ---
TURN_EVENTS_MAX = 256
TURN_MS_MAX = 20
INBOX_BYTES_MAX = 4 * MIB  # peers wait beyond it; completions never do
STATE_CACHE_BYTES_MAX = 4 * MIB  # of objects that sleep or have ended; what runs is not dropped
WAKES_PER_SECOND_MAX = 500  # of sleepers, in the order in which they came or were due; the rest in the next second
# A fact that flaps: what woke by one is woken by it again at the earliest so long after, by what it is then. Longer
# for one wait: `steady(condition, seconds(10))`; apart for up and down: two conditions with two numbers.
FLAP_MS = 1 * SECOND_MS

# --- The disk. ---
# Set aside in a file of its own and given up when the disk is full, for what is under way: a journal of 1 MiB (1,000
# pages, `wal_autocheckpoint`) that grows while a reader holds it, and the pages that a checkpoint adds to the spool.
RESERVE_BYTES = 8 * MIB
QUARANTINED_PER_TURN_MAX = 64  # objects found damaged in one turn; with more the spool counts as damaged as a whole
QUARANTINED_SHOWN_MAX = 100  # in one answer of `status`
QUARANTINED_AT_START_MAX = 1_000  # each costs a rebuild from the beginning
ROOM_BYTES_MIN = 8 * MIB  # free beside the reserve before it is held again: intake may not flap with each file

# --- Loops that change nothing. ---
LOOPS_FREE = 16  # turns in a row that only wake and sleep, each at once; from then on the least stay doubles from 1 s
LOOPS_STUCK = 32  # then the object is `stuck`: resume, cancel or its lifetime end that
STAY_MS_MAX = 15 * MINUTE_MS  # of that least stay
TRIES_FREE = 16  # of one call without a result; from then on the wait for the next one doubles from 1 s
TRIES_STAY_MS_MAX = 1 * HOUR_MS
TRIES_STUCK = 1_000  # then the call is `stuck`; three entries each, a month at one an hour

# --- Cards that were copied or restored. ---
SEQUENCE_JUMP = 1 << 32  # far above what a device gives out between backup and return: 136 years at one a second
SUSPECTS_MAX = 1_000  # keys with two writers that are noted; more are not

# --- Invitations. ---
INVITATIONS_MAX = 32  # open at once: a code names its invitation in one character
INVITATION_USES_MAX = 1_000  # devices that one may let in
INVITATION_MS_MIN = 1 * MINUTE_MS
INVITATION_MS_MAX = 30 * DAY_MS  # by the device's own clock, which needs no battery
INVITATION_PEERS_MAX = 8  # addresses in a file
PAIRING_MS_MAX = 10 * MINUTE_MS  # of looking for who made an invitation, in one command
PAIRING_PAUSE_MS = 1 * SECOND_MS  # after a wrong code, for the address that it came from
PAIRING_PAUSED_MAX = 256  # addresses; one more ends the oldest pause: a guess costs its maker more than us

# --- Contacts. ---
FRAME_BYTES_MAX = 65_535
MESSAGE_BYTES_MAX = 256 * KIB  # may span frames; what a peer makes us gather
REKEY_FRAMES = 65_536  # both sides count: at most 4 GiB under one key
REKEY_MS = HOUR_MS  # the sender says when, for clocks differ: a key found in memory opens the past hour at most
# In a certificate; more are not presented. All of them are what a stranger may make us hold: 32 KiB a handshake.
CHANNEL_GRANTS_MAX = 8
GOODBYE_BYTES_MAX = 200  # of a reason, for people; the rest is cut
HANDSHAKE_MS_MAX = 10 * SECOND_MS
HALF_OPEN_MAX = 32  # handshakes under way in all
HALF_OPEN_PER_ADDRESS_MAX = 4
CONNECT_MS_MAX = 3 * SECOND_MS
CONTACT_INFLIGHT_BYTES_MAX = 256 * KIB  # sent and not yet taken by the channel
COMMIT_EVERY_MS = 50
ADVERTS_MAX = 1_000
ADVERT_INTENTS_MAX = 256
PEERS_MAX = 64
SIGHTINGS_MAX = 256  # peers remembered from announcements; the one heard longest ago goes
DIAL_ADDRESSES_MAX = 4  # of one sighting, dialled at once; a machine with more has containers
ASIDE_BYTES_MAX = 1 * MIB  # entries kept aside per contact while a parent or grant is missing
HEADS_PER_MESSAGE_MAX = 500
HEADS_TOLD_MAX = 64  # heads of one object told to a peer; the rest follow from their ancestors
# Objects whose heads at the peer are remembered during a contact; beyond it the oldest is asked about again.
KNOWN_HEADS_MAX = 20_000

# --- Links and discovery. ---
LINKS_MAX = 256  # a host of containers has hundreds of links; those beyond are not looked at
LINK_ADDRESSES_MAX = 64  # per link; those beyond are not looked at
LINK_EVENTS_MAX = 1_024  # not yet taken; beyond it they are dropped and the state is read anew
NETLINK_BYTES_MAX = 64 * KIB  # of one datagram; the kernel fills at most 32 KiB of what a reader offers
NETLINK_DATAGRAMS_PER_TURN_MAX = 64  # then the loop gets its turn
LINK_READING_MS_MAX = 5 * SECOND_MS  # for the first complete reading; it takes milliseconds
LINK_READS_MAX = 5  # readings of the kernel's tables in a row that a change made inconsistent
# A port of a bridge with spanning tree swallows what is sent for twice its forward delay of 15 s.
DISCOVERY_REPEAT_MS = 40 * SECOND_MS
DISCOVERY_PERIOD_MS = 1 * SECOND_MS  # RFC 6762 section 8.3: announcements at least one second apart
DISCOVERY_DAMP_MS = 50  # events of one plug come within it; doubled while they go on
DISCOVERY_SENDERS_MAX = 16  # Linux lets one socket join 20 groups (igmp_max_memberships)
SIGHTING_ADDRESSES_MAX = 16  # of one peer, beyond it the rest is dropped
SIGHTING_VALUE_BYTES_MAX = 64  # of one TXT value; a longer one refuses the sighting
DISCOVERY_ROUND_MS_MAX = 5 * SECOND_MS  # opening sockets takes milliseconds; then they are opened anew
LOOKUPS_MAX = 16  # peers being asked for missing records; more come with their next announcement
LOOKUP_MS_MAX = 3 * SECOND_MS
GOODBYE_MS_MAX = 2 * SECOND_MS

# --- Control socket. ---
CONTROL_LINE_BYTES_MAX = 256 * KIB
CONTROL_CLIENTS_MAX = 64
CONTROL_REQUESTS_MAX = 4_096  # of one client and not yet answered; one more is refused
# Answers that a client does not read; then it is hung up on. The largest one is a capsule in hex: room for it.
CONTROL_UNREAD_BYTES_MAX = 4 * OBJECT_BYTES_MAX + 4 * MIB
ANSWER_BYTES_MAX = CONTROL_UNREAD_BYTES_MAX  # of one line that a client reads
CANDIDATES_SHOWN_MAX = 10  # objects named when a reference is ambiguous
SOCKET_PATH_BYTES_MAX = 100  # Linux takes 107 (sun_path); a longer one is hashed under the runtime directory
STATUS_LINE_CHARS_MAX = 300  # what systemd is told; `systemctl status` shows it in one paragraph
FLAGS_SHOWN_MAX = 100  # entries written under a withdrawn grant, in one answer; `trace` flags all
DROPPED_SHOWN_MAX = 1_000  # items that a refinement dropped, in one answer
QUERY_MS_MAX = 5_000
QUERY_ROWS_MAX = 10_000
DEMO_IMAGES_MAX = 60  # more would take over a minute; the first ones by name are surveyed
QUERY_VALUE_BYTES_MAX = 1 * MIB  # the largest stored value is an entry; SQL could make any size
QUERY_BYTES_MAX = 16 * MIB  # of all rows: they are answered in one line

# --- Looking after a device. ---
DOCTOR_LINKS_MAX = 16  # on which `doctor` tries multicast; a host of containers has hundreds
DOCTOR_ASK_S_MAX = 10  # for the daemon, or systemd, to answer; a flush on a worn card takes seconds
DOCTOR_SPOOL_S_MAX = 5  # of reading the spool; a larger one is not checked whole
DOCTOR_RESTARTS_MAX = 5  # of the unit since it was started; more are no accident
# A file's name in the drop folder, with what is written beside it within the 255 bytes of ext4.
DROP_NAME_BYTES_MAX = 180
DROP_TASK_BYTES_MAX = 64 * KIB  # of a submission in a file; its arguments are bounded by themselves
DROP_FILES_PER_LOOK_MAX = 256  # then the loop gets its turn; the rest follows at once
DROP_KEPT_MAX = 1_000  # files in `done/`, and in `refused/`; the oldest goes
DROP_RETRY_MS_MAX = 60 * SECOND_MS  # after trouble with the disk; doubled from a second
OUTBOX_FILES_MAX = 1_000  # then results wait in the spool until somebody takes files out
SCHEDULES_MAX = 64  # in the configuration
SCHEDULE_MS_MIN = 1 * SECOND_MS  # each slot is an object on the card: a shorter interval is refused where it is written
SCHEDULE_MS_MAX = 366 * DAY_MS
SCHEDULE_ERROR_CHARS_MAX = 200  # of why the last slot has no object
COMPLETION_WORDS_MAX = 500  # offered while somebody types; the newest objects
ROOT_BACKUP_BYTES_MAX = 4 * KIB  # of a root key's backup; the longest name makes half of it

# --- Disk use. ---
STORE_BYTES_DEFAULT = 1_024 * MIB  # of the spool's file; a small card keeps most of itself
STORE_BYTES_MIN = 1 * MIB  # an empty spool takes 130 KiB; a smaller bound is refused in the configuration
STORE_BYTES_MAX = 1 << 50
# Of the limit, held back for what runs: at most what one object may take.
STORE_RESERVE_PERCENT = 10
STORE_RESERVE_BYTES_MAX = OBJECT_BYTES_MAX
ENDED_KEPT_MS_DEFAULT = 7 * DAY_MS
ENDED_KEPT_MS_MAX = LIFETIME_MS_MAX
ENDED_PERCENT_DEFAULT = 20  # of the limit, for objects that have ended; beyond it the oldest go sooner
CARRIED_PERCENT_DEFAULT = 50  # of the limit, for objects that others made and turn
HANDED_KEPT_MS = 7 * DAY_MS  # custody handed over, if the new custodian is not heard after its acceptance
EVICTIONS_PER_EVENT_MAX = 16  # each loads an object; the next ones follow in the next turn
SWEEP_MS = 1 * HOUR_MS  # between two looks for what is past its retention: a batch costs a card little
# Beyond the wall time at which an object must be over: clocks that count as set differ by less.
TOMBSTONE_MARGIN_MS = 1 * DAY_MS
TOMBSTONE_BYTES = 256  # counted for one besides its signed end: its row and its two index entries
VACUUM_IDLE_MS = 10 * SECOND_MS  # after pages became free: what comes next may use them
VACUUM_PERIOD_MS = 1 * SECOND_MS  # between two slices
VACUUM_PAGES_MAX = 64  # of one slice: 64 KiB moved at most
VACUUM_PAGES_KEPT = 64  # left free for the next entries
# All entries are read again so often, and hashed: peers hold what they were given for a week at least after its end.
SCRUB_EVERY_MS = 7 * DAY_MS
SCRUB_IDLE_MS = 10 * MINUTE_MS  # before the first slice: not on the start path, nor in a short contact
SCRUB_PERIOD_MS = 1 * SECOND_MS  # between two slices: a full spool of 1 GiB is read in two hours and a half
SCRUB_SLICE_BYTES = 128 * KIB  # at 10 MB/s of a slow card less than a turn's 20 ms
SCRUB_SAVE_SLICES = 64  # between two notes of how far a pass came: 8 MiB are read again after a power-off

# --- Time. ---
TIMER_SLICE_MS_MAX = 30 * SECOND_MS  # no sleep of the host's timer is longer: clocks are read again
SEQUENCE_BLOCK = 10_000  # reserved on disk before use
CLOCK_SAVE_MS = 5 * MINUTE_MS  # the life clock is written so often while something is due: a power cut takes no more
ABSENCE_MS_MAX = 180 * DAY_MS  # a longer power-off or stay on a stick is a wrong clock: the age is a lower bound then
TRANSIT_MS_MAX = DAY_MS  # on a link; light needs 4 h to Neptune, and what says more is a wrong clock
WALL_MS_MAX = 1 << 45  # the year 3084: beyond it no peer is believed, and calendars and integers hold out for long
PEER_STEP_MS_MAX = 31 * DAY_MS  # by a peer's word: a month in a drawer; of more the rest comes with later contacts
PEER_STEP_EVERY_MS = 1 * HOUR_MS  # between two such steps, so that a liar needs days for a year

# --- Pacing. ---
RTO_MS_INITIAL = 1_000  # before the first answer (RFC 6298 section 2.1)
# RFC 6298 section 2.4 asks for 1 s, for routers' queues; ours is what Linux uses (TCP_RTO_MIN), for links are one hop.
RTO_MS_MIN = 200
RTO_MS_MAX = 60_000  # RFC 6298 section 2.5 allows 60 s and more
BACKOFF_MS_FIRST = 1_000
BACKOFF_MS_MAX = 15 * MINUTE_MS
PROBE_MS_FIRST = 5 * SECOND_MS  # between two probes of a destination, at least
PROBE_MS_MAX = 15 * MINUTE_MS  # and at most, however dear an attempt is said to be
PROBE_COST_MS = 3 * SECOND_MS  # so much delay is worth one attempt
PROBE_COST_MS_MAX = 15 * MINUTE_MS
# Longer means are not believed: with the cost above probes are at most 42 s apart (`docs/decisions.md`).
GAP_MS_MEAN_MAX = 5 * MINUTE_MS
GAP_CLASSES_MAX = 20  # of ages that double from 8 s on: the last one begins at 24 days
PROBE_ALONE_MS_MAX = 1 * MINUTE_MS  # by the object's own memory, after a restart
PROBE_SIGN_MS_MAX = 1 * HOUR_MS  # between safety looks where a sign is to be expected
PROBE_IDLE_MS = 10 * SECOND_MS  # left alone for so long, a destination that goes away is met by one attempt first
PROBE_LATE_MS = 10 * SECOND_MS  # who is to probe and is so late has gone; another may
PLAN_PASSES_MAX = 10_000  # of one destination: a year of 27 passes a day
PLAN_TOGETHER_MAX = 16  # passes whose error bars lie over one another: so many are looked at, in their order
RAMP_MAX = 32  # attempts in flight to one destination
# Who waits for a place or for another's probe is woken by it; should that one be gone, it looks by itself after one to
# two of these. Each such look is a record: a thousand sleepers must not flood their histories.
PLACE_LOOK_MS = 1 * HOUR_MS
MET_TOLD_MAX = 64  # devices a peer is told of that we meet, likeliest first: 900 bytes a contact
ACQUAINTANCES_MAX = 64  # peers whose word on whom they meet is kept; the one heard longest ago goes
DESTINATIONS_MAX = 1_000  # remembered at once; the one used longest ago goes
OBSERVER_LATE_MS_MAX = 500  # of the own loop; beyond it what it saw of peers is held against none of them
LISTENERS_MAX = 64  # answers awaited after their step's limit: sockets kept open; one more ends the oldest
LISTEN_MS_MAX = RTO_MS_MAX  # after that limit: a later answer would not change the estimate, which ends there
LATE_ANSWERS_MAX = 256  # tries given up whose answer may still be measured; the oldest goes
PLACES_MAX = 16  # whom one step was sent to, remembered in the object; the one used longest ago goes
TOKENS_MILLI_MAX = 10_000  # retry tokens of a destination (gRPC A6: ten); at half of them only a prober retries
GAPS_MAX = 32  # signs of life remembered inside one contact: the last N, for on such links seconds say little
POLICY_RULES_MAX = 100
POLICY_BYTES_MAX = 64 * KIB
POLICY_CASES_MAX = 500  # of one file of cases; 64 KiB hold about as many
ARGUMENT_DEPTH_MAX = 8  # words of a path into a call's arguments; a longer one is unknown, and so defers

# --- The status page. Onlookers may not cost the device what its work needs. ---
WEB_CONNECTIONS_MAX = 32  # one more gets 503; a page takes up to six
WEB_ONLOOKERS_MAX = 8  # live pages; one more gets 503 and tries again
WEB_HEAD_BYTES_MAX = 16 * KIB  # of one request; beyond it 400
WEB_ASK_MS_MAX = 10 * SECOND_MS  # for one answer of the node; a flush on a slow card takes a second or two
WEB_SEND_MS_MAX = 20 * SECOND_MS  # what an onlooker has not taken by then ends its connection
WEB_HEALTH_MS_MAX = 2 * SECOND_MS  # a node thread that ends no turn for so long does not get on
WEB_ROWS_FIRST = 50  # objects of one status that a page gets by itself; there is a button for more
WEB_ROWS_MAX = 1_000  # in one answer

assert RESULT_BYTES_MAX + 8 * KIB < ENTRY_BYTES_MAX, "a result must fit one entry with its envelope"
assert ARGUMENTS_BYTES_MAX + 8 * KIB < ENTRY_BYTES_MAX
assert TREE_BYTES_MAX + 8 * KIB < ENTRY_BYTES_MAX
assert ENTRY_BYTES_MAX < INBOX_BYTES_MAX
assert ENTRY_BYTES_MAX <= SCRUB_SLICE_BYTES, "a slice gets on by one entry at least"
assert ENTRY_BYTES_MAX <= ASIDE_BYTES_MAX
assert OFFER_MS_MAX <= LIFETIME_MS_DEFAULT
assert ENDED_KEPT_MS_DEFAULT <= ENDED_KEPT_MS_MAX
assert STORE_BYTES_MIN <= STORE_BYTES_DEFAULT <= STORE_BYTES_MAX
assert STORE_RESERVE_PERCENT + ENDED_PERCENT_DEFAULT + CARRIED_PERCENT_DEFAULT < 100, "own objects need room, too"
assert QUERY_BYTES_MAX <= CONTROL_UNREAD_BYTES_MAX
assert 2 * ARGUMENTS_BYTES_MAX < CONTROL_LINE_BYTES_MAX, "arguments in hex must fit a request"
assert 2 * ADVICE_BYTES_MAX <= RESULT_BYTES_MAX, "a proposal is learned with its advisor and confidence"
assert ADVICE_TOPIC_BYTES_MAX < NAME_BYTES_MAX
assert ADVICE_VALID_MS_DEFAULT <= ADVICE_VALID_MS_MAX
assert DEATHS_ELSEWHERE < DEATHS_MAX
assert FANOUT_MAX <= CHILDREN_MAX
assert SIGNALS_EACH_MAX <= INPUTS_MAX
assert 4 * UNIT_SIGNALS_EACH_MAX < OBJECT_ENTRIES_MAX, "one device that fills an object with units leaves it room"
assert DORMANCY_MS_MAX <= LIFETIME_MS_MAX
assert RTO_MS_MIN <= RTO_MS_INITIAL <= RTO_MS_MAX
assert CONDITION_NODES_MAX <= TRIGGER_NODES_MAX
assert PROBE_MS_FIRST <= PROBE_ALONE_MS_MAX <= PROBE_MS_MAX < PLACE_LOOK_MS
assert PROBE_COST_MS <= PROBE_COST_MS_MAX
assert 2 * PROBE_COST_MS * GAP_MS_MEAN_MAX <= PROBE_MS_MAX**2, "by default the cost decides, not the bound"
assert LISTENERS_MAX <= LATE_ANSWERS_MAX
assert TIMER_SLICE_MS_MAX < CLOCK_SAVE_MS < HOUR_MS, "a board that runs for an hour must get on"
assert TRANSIT_MS_MAX < PEER_STEP_MS_MAX < ABSENCE_MS_MAX < 365 * DAY_MS, "a clock that is a year off adds nothing"
assert FLAP_MS <= STAY_MS_MAX <= TRIES_STAY_MS_MAX < DORMANCY_MS_MAX
assert LOOPS_FREE < LOOPS_STUCK < RESUMPTIONS_PER_TURN_MAX
assert 3 * TRIES_STUCK < OBJECT_ENTRIES_MAX, "a call that never works may not end its object by its entries"
assert POLL_MS_MIN <= POLL_ABORTED_MS <= POLL_MS_MAX
assert 3 * PROBE_BYTES_MAX + 2 * KIB < RESULT_BYTES_MAX, "three bytes stand for one that is no UTF-8"
assert PROBE_TIMEOUT_MS_DEFAULT <= PROBE_TIMEOUT_MS_MAX < PROBE_ANSWER_MS_MAX
assert DISCOVERY_DAMP_MS < DISCOVERY_PERIOD_MS < DISCOVERY_REPEAT_MS
assert LINKS_MAX <= LINK_EVENTS_MAX
assert REVOCATIONS_PER_MESSAGE_MAX * REVOCATION_BYTES_MAX + 1 * KIB < MESSAGE_BYTES_MAX
assert FACT_FIELDS_MAX < FACTS_MAX
assert FACT_VALUE_BYTES_MAX < FACT_CONTENT_BYTES_MAX
assert BRIDGE_WAIT_MS_FIRST < BRIDGE_WAIT_MS_MAX
