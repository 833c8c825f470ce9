package io.forebay.control.raft;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.forebay.core.env.TestEnv;
import io.forebay.core.id.NodeId;
import io.forebay.core.log.Ledger;
import io.forebay.core.log.LogService;
import io.forebay.core.log.LoggedMachine;
import io.forebay.core.log.Submitter;
import io.forebay.core.log.VoterEndpoint;
import io.forebay.core.log.VoterNetwork;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;

/**
 * A voter in a process of its own that writes until it is killed, and says what was acknowledged.
 */
final class KilledVoter {
  static final NodeId NODE = new NodeId("n1");
  private static final int COMMAND_BYTES = 64 << 10;

  private KilledVoter() {}

  static RaftVoter open(TestEnv env, String address, Path directory) {
    return new RaftVoter(
        env,
        "c1",
        NODE,
        Map.of(NODE, address),
        directory,
        List.of(new RaftVoter.Log("log", new LoggedMachine(new Ledger()))));
  }

  /** Arguments: address, directory, prefix of the commands. */
  public static void main(String[] args) throws InterruptedException {
    var env = new TestEnv(args[2].hashCode()); // each run is a client of its own
    var voter = open(env, args[0], Path.of(args[1]));
    var network = new VoterNetwork(env);
    network.attach(
        NODE,
        new VoterEndpoint(Map.of("log", new LogService(env, voter.log("log"), new Ledger()))));
    for (int w = 0; w < 4; w++) {
      String writer = args[2] + "-" + w;
      var client = new Submitter(env, network, "log", List.of(NODE));
      env.spawn(
          writer,
          () -> {
            for (int i = 0; ; i++) {
              String text = writer + "-" + i;
              byte[] command = new byte[COMMAND_BYTES];
              byte[] bytes = text.getBytes(UTF_8);
              System.arraycopy(bytes, 0, command, 0, bytes.length);
              client.submit(command, 60_000_000_000L);
              System.out.println("ack " + text);
            }
          });
    }
    new CountDownLatch(1).await();
  }
}
