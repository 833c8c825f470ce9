package io.forebay.control.raft;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.id.NodeId;
import io.forebay.core.log.Ledger;
import io.forebay.core.log.Submitter;
import org.junit.jupiter.api.Test;

class OneVoterTest extends RaftContract {
  OneVoterTest() {
    super(1, RaftVoter.Retention.NORMAL);
  }

  @Test
  void hasEverythingAfterEachRestart() {
    NodeId node = nodes().getFirst();
    Submitter client = client();
    for (int i = 1; i <= 20; i++) {
      assertThat(Ledger.number(client.submit(("c" + i).getBytes(UTF_8), PATIENCE_NANOS)))
          .isEqualTo(i);
      if (i % 5 == 0) {
        stop(node);
        start(node);
        assertThat(Ledger.number(client.query(new byte[0], PATIENCE_NANOS))).isEqualTo(i);
      }
    }
    assertThat(Ledger.texts(voters.get(node).map())).hasSize(20);
  }
}
