"""Which devices a training uses: one, several in one machine (`mirrored`), or several machines (`multiworker`).

In all of them a step is one batch of `--batch_size` examples, divided among the devices, so that what is learnt does not
depend on how many there are. `common.distribution.workers` says what each of several workers does.
"""

import contextlib
import dataclasses
import json
import logging
import os
import signal
from collections.abc import Iterator

import tensorflow as tf

from common.config import ConfigType
from common.distribution import STRATEGIES, keras_fixes, workers
from common.errors import UserError

# In the message of XLA: https://www.tensorflow.org/xla/known_issues
_XLA_REFUSAL = "tfvariable_on_a_different_device"


@contextlib.contextmanager
def scope(name: str) -> Iterator[None]:
    """Compute what the block computes on the devices that `--strategy` names; see `strategy`.

    Raises:
        UserError: One of several workers was lost, or XLA does not compile what these devices share.
    """
    with strategy(name).scope():
        try:
            yield
        except tf.errors.InvalidArgumentError as error:
            if _XLA_REFUSAL not in str(error):
                raise
            raise UserError(
                "--jit_compile: XLA does not compile a step whose variables lie on several devices here; leave it out, or"
                " use --strategy=single"
            ) from error
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError) as error:
            if workers.num_workers() == 1:
                raise
            logging.debug("%s", error)
            raise UserError(
                "another worker was lost: it ended, or its machine or the network did; what it said itself tells more. Give the"
                " same commands again on all workers: training goes on after the last epoch that the chief has kept"
            ) from error


def strategy(name: str = "auto") -> tf.distribute.Strategy:
    """Return the distribution strategy that `--strategy` names; with several workers it waits for all of them.

    To be called before TensorFlow computes anything: workers find each other when it starts.

    Args:
        name: `single` uses one device; `mirrored` keeps a copy of the model on every GPU, or on every logical CPU where
            there are several, and splits each batch among them; `multiworker` does so over all processes that the
            environment variable `TF_CONFIG` or a Slurm allocation names; `auto` is `multiworker` where there are such,
            else `mirrored` where there are several GPUs.

    Raises:
        UserError: `mirrored` was asked for with only one device, `multiworker` without a description of the workers, or
            the name is unknown.
    """
    if name not in STRATEGIES:
        raise UserError(f'unknown strategy "{name}"; expected one of {", ".join(STRATEGIES)}')
    if name == "multiworker" or (name == "auto" and _cluster_described()):
        return _multiworker()
    gpus = tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    if name == "single" or (name == "auto" and len(gpus) < 2):
        return tf.distribute.get_strategy()
    if len(devices) < 2:
        raise UserError(f"--strategy=mirrored needs several devices, found {devices[0].name}; use --strategy=single")
    keras_fixes.mend()
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _cluster_described() -> bool:
    return "TF_CONFIG" in os.environ or int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1


def _multiworker() -> tf.distribute.Strategy:
    """Join the workers that `TF_CONFIG` or Slurm describes."""
    keras_fixes.mend()
    resolver = _cluster_resolver()
    addresses = [address for job in resolver.cluster_spec().as_dict().values() for address in job]
    logging.info("%s %d; waiting for all of %s", resolver.task_type, resolver.task_id, ", ".join(addresses))
    handler = signal.getsignal(signal.SIGTERM)
    try:
        joined = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except tf.errors.OpError as error:
        raise UserError(f"cannot join the workers {', '.join(addresses)}: {error.message}") from error
    finally:
        # TensorFlow has put a handler of its own in its place, which notes the signal and goes on.
        signal.signal(signal.SIGTERM, handler)
    with joined.scope():
        workers.only_the_chief_speaks()
    return joined


def _cluster_resolver() -> tf.distribute.cluster_resolver.ClusterResolver:
    """Read who the workers are, and check it: what TensorFlow makes of a slip is a traceback or an endless wait."""
    if "TF_CONFIG" in os.environ:
        example = '{"cluster": {"worker": ["host1:12345", "host2:12345"]}, "task": {"type": "worker", "index": 0}}'
        try:
            described = json.loads(os.environ["TF_CONFIG"])
            kind, index = described["task"]["type"], int(described["task"]["index"])
            addresses = described["cluster"][kind]
            if kind not in ("chief", "worker") or not 0 <= index < len(addresses):
                raise ValueError(f"there is no {kind} {index}")
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"the environment variable TF_CONFIG is not understood ({error!r}); expected {example}"
            ) from error
        return tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if "SLURM_STEP_NUM_TASKS" in os.environ:
        return _slurm_resolver()
    raise UserError(
        "--strategy=multiworker needs to know the workers: set TF_CONFIG on each (see docs/scaling.md), or start them by srun"
    )


def _slurm_resolver() -> tf.distribute.cluster_resolver.ClusterResolver:
    """Read who the workers of a Slurm allocation are; each uses the GPUs that it sees (`srun --gpus-per-task`)."""
    resolvers = tf.distribute.cluster_resolver
    try:
        # TensorFlow's own counts GPUs with nvidia-smi and fails where there are none; here it only reads the names.
        num_tasks = int(os.environ["SLURM_STEP_NUM_TASKS"])
        slurm = resolvers.SlurmClusterResolver(gpus_per_node=num_tasks, gpus_per_task=1, auto_set_gpu=False)
        spec = slurm.cluster_spec()
    except (RuntimeError, ValueError, KeyError) as error:
        raise UserError(f"the Slurm allocation is not understood: {error}; start the training by srun") from error
    return resolvers.SimpleClusterResolver(
        spec,
        task_type=slurm.task_type,
        task_id=slurm.task_id,
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
        rpc_layer="grpc",
    )


def scaled(config: ConfigType, to_devices: bool) -> ConfigType:
    """Say how a batch is divided among the devices, and make a configuration for one device one for all of them.

    Args:
        config: The configuration.
        to_devices: Whether its batch size and learning rates are those of one device. Then both are multiplied by the
            number of devices (P. Goyal et al., "Accurate, large minibatch SGD", 2017, arXiv 1706.02677, who also warm
            up); otherwise the batch is divided and the learning rates stay.
    """
    number = tf.distribute.get_strategy().num_replicas_in_sync
    if number == 1:
        return config
    if to_devices:
        names = [name for name in vars(config) if name == "batch_size" or name.endswith("learning_rate")]
        config = dataclasses.replace(config, **{name: number * getattr(config, name) for name in names})
    logging.info(
        "%d devices of %d workers: batches of %d, divided among them; --learning_rate=%g%s",
        number,
        workers.num_workers(),
        config.batch_size,
        config.learning_rate,
        f", both {number} times those of one device" if to_devices else "",
    )
    return config


def evaluation_batch_size(num_examples: int, batch_size: int) -> int:
    """Return the batch size nearest to a wish with which no device gets an empty batch at the end of a pass.

    Each batch is dealt to the devices of the current strategy in equal parts, so a short last one can leave a device
    without examples; there oneDNN's convolution returns the shape of its input instead of its output (TensorFlow 2.21).

    Args:
        num_examples: Examples in a pass.
        batch_size: The batch size wished for.

    Example:
        >>> evaluation_batch_size(9, 4)
        4
    """
    num_replicas = tf.distribute.get_strategy().num_replicas_in_sync
    fitting = [
        size
        for size in range(num_replicas, num_examples + batch_size + num_replicas, num_replicas)
        if num_examples % size == 0 or num_examples % size > size // num_replicas * (num_replicas - 1)
    ]
    return min(fitting or [batch_size], key=lambda size: abs(size - batch_size))
