"""From a file to a batch inside jit.

episodes       the arrays of a data set, from your own arrays or episodes
checks         what a data set must be, as a generator of its faults
cards          card.json: what a data set says of itself
storage        our format on disk: save, load (and the names above that a user needs)
npy_files      one array in one file that may be damaged
hdf5_files     the same of HDF5
public_rows    what the readers of published data share
public_omar    OMAR's and CFCQL's folders of .npy
public_omiga   OMIGA's HDF5 files
public_og_marl OG-MARL's vaults
public_pymarl  pymarl's and CFCQL's HDF5 episodes, of discrete actions
transitions    episodes -> device arrays -> Transition, never across an episode's end
sampling       draw(dataset, key, batch_size)
feeding        batches from the host, ahead of the updates, where a data set is too large for the device
normalization  the Normalizer and the Spec of a data set
"""
