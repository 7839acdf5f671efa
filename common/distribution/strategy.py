"""Distribution strategies: one device, several devices of a machine (`mirrored`), or several machines (`multiworker`).

With every strategy, a step is one batch of `--batch_size` examples, divided among the devices. The result of a training
therefore does not depend on the number of devices. See `common.distribution.workers` for several workers.
"""

import contextlib
import dataclasses
import json
import os
import signal
from collections.abc import Iterator

import tensorflow as tf

from common.config import ConfigType
from common.distribution import STRATEGIES, are_workers_described, keras_fixes, workers
from common.errors import UserError
from common.log import logger

# Part of an error message of XLA, see https://www.tensorflow.org/xla/known_issues
_XLA_REFUSAL = "tfvariable_on_a_different_device"


@contextlib.contextmanager
def scope(name: str) -> Iterator[None]:
    """Run a block on the devices of `--strategy`; see `strategy`.

    Raises:
        UserError: A worker was lost, or XLA cannot compile the step for several devices.
    """
    with strategy(name).scope():
        try:
            yield
        except tf.errors.InvalidArgumentError as error:
            if _XLA_REFUSAL not in str(error):
                raise
            raise UserError(
                "--jit_compile: XLA cannot compile a step with variables on several devices; leave it out, or use"
                " --strategy=single"
            ) from error
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError) as error:
            if workers.num_workers() == 1:
                raise
            logger.debug("%s", error)
            raise UserError(
                "another worker was lost: its process, its machine or the network failed; see its own output. Run the"
                " same commands again on all workers: training resumes after the last epoch that the chief has saved"
            ) from error


def strategy(name: str = "auto") -> tf.distribute.Strategy:
    """Return the distribution strategy for `--strategy`; with several workers, wait for all of them.

    Call it before TensorFlow executes any operation, since workers connect when TensorFlow starts.

    Args:
        name: `single` uses one device. `mirrored` keeps a copy of the model on every GPU, or on every logical CPU if
            there are several, and splits each batch among them. `multiworker` does the same over all processes listed
            in the environment variable `TF_CONFIG` or in a Slurm allocation. `auto` is `multiworker` if several workers
            are configured, else `mirrored` if there are several GPUs, else `single`.

    Raises:
        UserError: `mirrored` with only one device, `multiworker` without a description of the workers, or an unknown
            name.
    """
    if name not in STRATEGIES:
        raise UserError(f'unknown strategy "{name}"; expected one of {", ".join(STRATEGIES)}')
    if name == "multiworker" or (name == "auto" and are_workers_described()):
        return _multiworker()
    gpus = tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    if name == "single" or (name == "auto" and len(gpus) < 2):
        return tf.distribute.get_strategy()
    if len(devices) < 2:
        raise UserError(f"--strategy=mirrored needs several devices, found {devices[0].name}; use --strategy=single")
    keras_fixes.apply()
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _multiworker() -> tf.distribute.Strategy:
    """Connect to the workers described by `TF_CONFIG` or Slurm."""
    keras_fixes.apply()
    resolver = _cluster_resolver()
    addresses = [address for job in resolver.cluster_spec().as_dict().values() for address in job]
    logger.info("%s %d; waiting for all of %s", resolver.task_type, resolver.task_id, ", ".join(addresses))
    handler = signal.getsignal(signal.SIGTERM)
    try:
        joined = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except tf.errors.OpError as error:
        raise UserError(f"cannot connect to the workers {', '.join(addresses)}: {error.message}") from error
    finally:
        # TensorFlow has installed its own handler, which records the signal but does not exit.
        signal.signal(signal.SIGTERM, handler)
    with joined.scope():
        workers.only_the_chief_speaks()
    return joined


def _cluster_resolver() -> tf.distribute.cluster_resolver.ClusterResolver:
    """Read and check the description of the workers, since TensorFlow fails obscurely or waits forever on mistakes."""
    if "TF_CONFIG" in os.environ:
        example = '{"cluster": {"worker": ["host1:12345", "host2:12345"]}, "task": {"type": "worker", "index": 0}}'
        try:
            described = json.loads(os.environ["TF_CONFIG"])
            kind, index = described["task"]["type"], int(described["task"]["index"])
            addresses = described["cluster"][kind]
            if kind not in ("chief", "worker") or not 0 <= index < len(addresses):
                raise ValueError(f"there is no {kind} {index}")
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"the environment variable TF_CONFIG is invalid ({error!r}); expected {example}") from error
        return tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if "SLURM_STEP_NUM_TASKS" in os.environ:
        return _slurm_resolver()
    raise UserError(
        "--strategy=multiworker needs a list of workers: set TF_CONFIG on each (see docs/scaling.md), or start them by srun"
    )


def _slurm_resolver() -> tf.distribute.cluster_resolver.ClusterResolver:
    """Read the workers of a Slurm allocation; each uses its visible GPUs (`srun --gpus-per-task`)."""
    resolvers = tf.distribute.cluster_resolver
    try:
        # SlurmClusterResolver counts GPUs by nvidia-smi and fails without any, so it is used for the names only.
        num_tasks = int(os.environ["SLURM_STEP_NUM_TASKS"])
        slurm = resolvers.SlurmClusterResolver(gpus_per_node=num_tasks, gpus_per_task=1, auto_set_gpu=False)
        spec = slurm.cluster_spec()
    except (RuntimeError, ValueError, KeyError) as error:
        raise UserError(f"cannot read the Slurm allocation: {error}; start the training by srun") from error
    return resolvers.SimpleClusterResolver(
        spec,
        task_type=slurm.task_type,
        task_id=slurm.task_id,
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
        rpc_layer="grpc",
    )


def scaled(config: ConfigType, to_devices: bool) -> ConfigType:
    """Log how batches are divided among the devices, and optionally scale a configuration by the number of devices.

    Args:
        config: The configuration.
        to_devices: Whether batch size and learning rates are per device. If so, both are multiplied by the number of
            devices (P. Goyal et al., "Accurate, large minibatch SGD", 2017, arXiv 1706.02677, who also use warm-up).
            Otherwise the batch is divided and the learning rates are kept.
    """
    number = tf.distribute.get_strategy().num_replicas_in_sync
    if number == 1:
        return config
    if to_devices:
        names = [name for name in vars(config) if name == "batch_size" or name.endswith("learning_rate")]
        config = dataclasses.replace(config, **{name: number * getattr(config, name) for name in names})
    logger.info(
        "%d devices of %d workers: batches of %d, split among them; --learning_rate=%g%s",
        number,
        workers.num_workers(),
        config.batch_size,
        config.learning_rate,
        f", both scaled by {number} devices" if to_devices else "",
    )
    return config


def evaluation_batch_size(num_examples: int, batch_size: int) -> int:
    """Return the batch size closest to the requested one for which no device gets an empty part of the last batch.

    Each batch is divided equally among the devices of the current strategy, so a short last batch can leave a device
    without examples. For an empty batch, convolutions of oneDNN return a wrong shape (TensorFlow 2.21).

    Args:
        num_examples: Number of examples.
        batch_size: The requested batch size.

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
