package io.forebay.core.log;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.lease.LeaseTable;
import io.forebay.core.net.ControlMessage;
import io.forebay.core.net.Reply;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Supplier;

/** Answers what nodes ask of a voter: submissions and queries for each of its logs. */
public final class VoterEndpoint {
  private final Map<String, LogService> logs;

  /**
   * @param logs by the name of their group
   */
  public VoterEndpoint(Map<String, LogService> logs) {
    this.logs = new TreeMap<>(logs);
  }

  /** Answers a submission; blocks until it is logged. */
  public Reply submit(ControlMessage.Submit request) {
    return orNotLeader(() ->
        Reply.of(new ControlMessage.Submitted(log(request.group()).submit(request.submissions()))));
  }

  /** Answers a query; blocks until leadership is confirmed. */
  public Reply query(ControlMessage.Query request) {
    return orNotLeader(
        () -> Reply.of(new ControlMessage.Answer(log(request.group()).query(request.query()))));
  }

  /** Answers a query, with a lease where one may be given; blocks until leadership is confirmed. */
  public Reply query(ControlMessage.LeasedQuery request) {
    return orNotLeader(() ->
        Reply.of(
            log(request.group())
                .query(request.query(), new LeaseTable.Holder(request.node(), request.run()))));
  }

  private LogService log(String group) {
    LogService log = logs.get(group);
    if (log == null) {
      throw new ForebayException(
          ErrorCode.NOT_LEADER, "this node is no voter of the log '" + group + "'");
    }
    return log;
  }

  private static Reply orNotLeader(Supplier<Reply> action) {
    try {
      return action.get();
    } catch (ForebayException failure) {
      if (failure.code() != ErrorCode.NOT_LEADER) {
        throw failure;
      }
      return Reply.of(new ControlMessage.NotLeader(hint(String.valueOf(failure.getMessage()))));
    }
  }

  private static Optional<NodeId> hint(String message) {
    try {
      return Optional.of(new NodeId(message));
    } catch (IllegalArgumentException none) {
      return Optional.empty();
    }
  }
}
