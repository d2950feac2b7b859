# The documented cases of run_calibration: English pages say --processor, Chinese ones --chip.
set -e
for chip in --processor --chip; do
    run_calibration mlir.file \
        --dataset data_path \
        --input_num 100 \
        $chip bm1684x \
        --search search_threshold \
        --inference_num 30 \
        -o threshold_table
    for method in use_mse use_max use_percentile9999 use_aciq_gauss use_aciq_laplace use_kl use_torch_observer_for_cali mse; do
        run_calibration mlir.file \
            --dataset data_path \
            --input_num 100 \
            --cali_method $method \
            -o ${method}_table
    done
    run_calibration.py mlir.file \
        --dataset data_path \
        --input_num 100 \
        -o cali_table
    run_calibration mlir.file \
        --we \
        --bc \
        --dataset data_path \
        --input_num 100 \
        $chip bm1684 \
        --search search_threshold \
        --inference_num 30 \
        --bc_inference_num 100 \
        -o we_bc_threshold_table
    run_calibration mlir.file \
        --we \
        --bc \
        --dataset data_path \
        --input_num 100 \
        $chip bm1684 \
        --cali_method use_mse \
        --bc_inference_num 100 \
        -o we_bc_table
    run_calibration mlir.file --dataset data_path --input_num 4 --tune_list list --tune_num 2 --histogram_bin_num 1024 --min_layer_cos 0.99 --search false --debug_cmd "" --debug_log 1 -o all_table
done
