package io.forebay.control.raft;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.apache.ratis.thirdparty.io.grpc.ForwardingServerCall;
import org.apache.ratis.thirdparty.io.grpc.Metadata;
import org.apache.ratis.thirdparty.io.grpc.ServerCall;
import org.apache.ratis.thirdparty.io.grpc.ServerCallHandler;
import org.apache.ratis.thirdparty.io.grpc.ServerInterceptor;
import org.apache.ratis.thirdparty.io.grpc.Status;

/**
 * Has a vote on the device before the candidate learns of it. Ratis writes what it votes into a
 * file, syncs it and gives it its name, but does not sync the directory: a voter that loses its
 * power then could vote once more in the same term, and two leaders could write different entries
 * under the same term and index, which nobody would notice.
 *
 * <p>A candidate's vote for itself is on the device with the first entry of its term, for each term
 * begins with a new file, and syncing that has the file system's journal commit what came before.
 */
final class DurableVotes implements ServerInterceptor {
  private static final String METHOD = "requestVote";

  private final Path raft;

  /**
   * @param raft Ratis' directory
   */
  DurableVotes(Path raft) {
    this.raft = raft;
  }

  @Override
  public <A, B> ServerCall.Listener<A> interceptCall(
      ServerCall<A, B> call, Metadata headers, ServerCallHandler<A, B> next) {
    return METHOD.equals(call.getMethodDescriptor().getBareMethodName())
        ? next.startCall(new Vote<>(call), headers)
        : next.startCall(call, headers);
  }

  private void sync() throws IOException {
    List<Path> groups;
    try (Stream<Path> entries = Files.list(raft)) {
      groups = entries.map(group -> group.resolve("current")).filter(Files::isDirectory).toList();
    }
    for (Path group : groups) {
      Fsync.of(group);
    }
  }

  private final class Vote<A, B> extends ForwardingServerCall.SimpleForwardingServerCall<A, B> {
    Vote(ServerCall<A, B> call) {
      super(call);
    }

    @Override
    public void sendMessage(B answer) {
      try {
        sync();
      } catch (IOException failure) {
        throw Status.UNAVAILABLE
            .withDescription("a vote could not be synced")
            .withCause(failure)
            .asRuntimeException();
      }
      super.sendMessage(answer);
    }
  }
}
